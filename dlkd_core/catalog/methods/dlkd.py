"""Dual-level knowledge distillation: the published method and its variants."""

from math import log
from typing import Literal

from pydantic import Field

from dlkd_core.catalog.loss_params import (
    AlignmentParams,
    CorrelationParams,
    CrossEntropyParams,
    LossParams,
    SupConParams,
    Weight,
)
from dlkd_core.catalog.methods.base_method import Method, RunContext, ViewKind

# Steps (epochs times batches of 64) of the paper's run on 50,000 images and a short run on 5,000.
_PAPER_STEPS, _SHORT_STEPS = 240 * 782, 10 * 79
# Weights for the short run (measured) and for the paper's run (published)
_ALIGNMENT_WEIGHTS, _CORRELATION_WEIGHTS = (5.0, 20.0), (1.0, 50.0)


class DLKD(Method):
    """Dual-level knowledge distillation (Ding et al., IEEE TNNLS 2024).

    The loss is labels + alignment + correlation, over four rotations of each image. Weights, head
    sizes and temperature are those of the authors' published code for CIFAR-100 (alignment 20,
    called delta there; correlation 50, called alpha). The weights in the journal article were not
    available.
    """

    source = "https://doi.org/10.1109/TNNLS.2022.3190166"

    name: Literal["dlkd"] = "dlkd"
    views: ViewKind = ViewKind.ROTATION4
    labels: Weight = 1.0
    alignment: Weight = 20.0
    correlation: Weight = 50.0
    temperature: float = Field(0.5, gt=0, le=100, description="Temperature of the correlation term")
    hidden_factor: int = Field(
        16,
        ge=1,
        le=64,
        description="Hidden width of the alignment head as a multiple of the teacher's feature"
        " width",
    )

    def _build_terms(self) -> list[LossParams]:
        return [
            CrossEntropyParams(weight=self.labels),
            AlignmentParams(weight=self.alignment, hidden_factor=self.hidden_factor),
            CorrelationParams(weight=self.correlation, temperature=self.temperature),
        ]


class DLKDSup(DLKD):
    """DLKD as in the authors' code, with a supervised contrastive term.

    The term contrasts embeddings of the teacher and the student.
    """

    name: Literal["dlkd_sup"] = "dlkd_sup"  # type: ignore[assignment]  # a subclass narrows its tag
    supcon: Weight = 1.0
    supcon_temperature: float = Field(0.07, gt=0, le=100)

    def _build_terms(self) -> list[LossParams]:
        return [
            *super()._build_terms(),
            SupConParams(weight=self.supcon, temperature=self.supcon_temperature),
        ]


class DLKDAuto(Method):
    """DLKD with weights and views that depend on the number of steps.

    The published weights are meant for 188,000 steps. In a run of a few hundred steps, they
    outweigh the labels (docs/benchmarks.md; all trials are in docs/log.md). Experiments determined
    the best weights for 790 steps (alignment 5, correlation 1). For a third as many steps, a third
    of these weights was best. Nothing was measured between 790 steps and the paper's number of
    steps. In that range, the weights are interpolated over the logarithm of the number of steps.
    """

    source = DLKD.source

    name: Literal["dlkd_auto"] = "dlkd_auto"
    views: ViewKind | None = Field(  # type: ignore[assignment]  # if None, `adapt` chooses it
        None,
        description="Kind of views. Default: four rotations if the run has at least as many"
        " steps as the runs in the paper, and a single view otherwise.",
    )
    labels: Weight = 1.0

    def adapt(self, context: RunContext) -> Method:
        """Return DLKD with the weights and views for this number of steps."""
        is_full_run = context.steps >= _PAPER_STEPS
        return DLKD(
            views=self.views or (ViewKind.ROTATION4 if is_full_run else ViewKind.SINGLE),
            labels=self.labels,
            alignment=_interpolate_weight(_ALIGNMENT_WEIGHTS, context.steps),
            correlation=_interpolate_weight(_CORRELATION_WEIGHTS, context.steps),
        )

    def _build_terms(self) -> list[LossParams]:
        # Only the kinds of terms are meaningful here; `adapt` sets their weights.
        return DLKD(labels=self.labels).active_terms()


def _interpolate_weight(end_weights: tuple[float, float], steps: int) -> float:
    """Interpolate the weight for a number of steps.

    Up to `_SHORT_STEPS`, the weight is proportional to the number of steps. Above that, it is
    interpolated geometrically, so that it reaches the paper's weight at `_PAPER_STEPS`.
    """
    short, paper = end_weights
    if steps < _SHORT_STEPS:
        return short * steps / _SHORT_STEPS
    missing = max(0.0, log(_PAPER_STEPS / steps) / log(_PAPER_STEPS / _SHORT_STEPS))
    return paper * float((short / paper) ** missing)
