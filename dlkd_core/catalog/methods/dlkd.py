"""Dual-level knowledge distillation: the published method and its variants."""

from bisect import bisect_right
from math import log
from typing import Literal

from pydantic import Field

from dlkd_core.catalog.base_loss_params import LossParams, Weight
from dlkd_core.catalog.feature_map_loss_params import MapAlignmentParams
from dlkd_core.catalog.loss_params import (
    AlignmentParams,
    CorrelationParams,
    CrossEntropyParams,
    KDParams,
    SupConParams,
)
from dlkd_core.catalog.methods.base_method import Method, RunContext, ViewKind

# Steps of the paper's run: epochs times batches of 64 of 50,000 images
_PAPER_STEPS = 240 * 782
# Weights of map_alignment, alignment, correlation and soft labels by number of steps: chosen by
# experiment for short runs, and published for the paper's run.
_WEIGHTS = (
    (24_000, (10.0, 5.0, 1.0, 1.0)),
    (_PAPER_STEPS, (0.0, 20.0, 50.0, 0.0)),
)
_CHOSEN_BY_RUN = "Default: chosen for the number of steps."


class DLKD(Method):
    """Dual-level knowledge distillation (Ding et al., IEEE TNNLS 2024).

    The loss is labels + alignment + correlation, over four rotations of each image. Weights, head
    sizes and temperature are those of the authors' published code for CIFAR-100 (delta 20, alpha
    50). The journal's own weights were not available.
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
        description="Hidden width of the alignment head as a multiple of the teacher's width",
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
    """DLKD with alignment at every position of the feature maps, fitted to the run.

    DLKD aligns and correlates features. This method also aligns feature maps and learns from soft
    labels. A run omits a term for which it lacks the inputs: feature maps if one of the networks
    exposes none, soft labels if the teacher has no classifier, and labels if the images have none.

    The weights depend on the number of steps. They were chosen by experiments of about 1,000 steps
    (docs/log.md) and are used for up to 24,000 steps. From there, they are interpolated over the
    logarithm of the number of steps to those of the published DLKD at the paper's 188,000 steps.
    Runs of more than 1,300 steps were not measured.
    """

    source = DLKD.source

    name: Literal["dlkd_auto"] = "dlkd_auto"
    views: ViewKind | None = Field(  # type: ignore[assignment]  # if None, `adapt` chooses it
        None,
        description="Kind of views. Default: four rotations if the run has at least as many"
        " steps as the runs in the paper, and a single view otherwise.",
    )
    labels: Weight = 1.0
    maps: Weight | None = Field(None, description=f"Weight of map_alignment. {_CHOSEN_BY_RUN}")
    alignment: Weight | None = Field(None, description=_CHOSEN_BY_RUN)
    correlation: Weight | None = Field(None, description=_CHOSEN_BY_RUN)
    soft_labels: Weight | None = Field(
        None, description=f"Weight of kd at temperature 1. {_CHOSEN_BY_RUN}"
    )

    @property
    def trains_classifier(self) -> bool:
        """Whether the classifier is trained. Before `adapt`, whether it can be trained."""
        return not self._is_adapted or super().trains_classifier

    def adapt(self, context: RunContext) -> "DLKDAuto":
        """Return the method with the weights and views for this run."""
        is_full_run = context.steps >= _PAPER_STEPS
        maps, alignment, correlation, soft_labels = _interpolate_weights(context.steps)
        chosen = {
            "views": ViewKind.ROTATION4 if is_full_run else ViewKind.SINGLE,
            "maps": maps if context.has_feature_maps else 0.0,
            "alignment": alignment,
            "correlation": correlation,
            "soft_labels": soft_labels if context.has_teacher_logits else 0.0,
        }
        missing = {name: value for name, value in chosen.items() if getattr(self, name) is None}
        labels = self.labels if context.has_labels else 0.0
        return self.model_copy(update=missing | {"labels": labels})

    @property
    def _is_adapted(self) -> bool:
        return self.alignment is not None and self.correlation is not None

    def _build_terms(self) -> list[LossParams]:
        if not self._is_adapted:
            # Before `adapt`, only the terms are listed that every run has.
            return [AlignmentParams(), CorrelationParams()]
        return [
            CrossEntropyParams(weight=self.labels),
            MapAlignmentParams(weight=self.maps or 0.0),
            AlignmentParams(weight=self.alignment or 0.0),
            CorrelationParams(weight=self.correlation or 0.0),
            KDParams(weight=self.soft_labels or 0.0, temperature=1.0),
        ]


def _interpolate_weights(steps: int) -> tuple[float, ...]:
    """Return the weights of the terms, interpolated over the logarithm of the steps."""
    counts = [count for count, _ in _WEIGHTS]
    if steps <= counts[0]:
        return _WEIGHTS[0][1]
    if steps >= counts[-1]:
        return _WEIGHTS[-1][1]
    after = bisect_right(counts, steps)
    (start, start_weights), (end, end_weights) = _WEIGHTS[after - 1 : after + 1]
    fraction = log(steps / start) / log(end / start)
    return tuple(
        first + fraction * (second - first)
        for first, second in zip(start_weights, end_weights, strict=True)
    )
