"""Dual-level knowledge distillation: as published, as the authors' code runs it, and fitted to a run's budget."""

from math import log
from typing import Literal

from pydantic import Field

from dlkd_core.catalog.method import Method, Situation, Views
from dlkd_core.catalog.terms import Alignment, Correlation, Labels, SupervisedContrast, Term, Weight

_PAPER, _SHORT = 240 * 782, 10 * 79  # steps: of 50,000 and of 5,000 images in batches of 64
_ALIGNMENT, _CORRELATION = (5.0, 20.0), (1.0, 50.0)  # at the short budget and at the paper's


class DLKD(Method):
    """Dual-level knowledge distillation (Ding et al., IEEE TNNLS 2024): labels + alignment + correlation, four rotations.

    Weights, head sizes and temperature are those of the authors' published code for CIFAR-100 (delta 20, alpha 50);
    the journal's own weights were not available.
    """

    source = "https://doi.org/10.1109/TNNLS.2022.3190166"

    name: Literal["dlkd"] = "dlkd"
    views: Views = "rotation4"
    labels: Weight = 1.0
    alignment: Weight = 20.0
    correlation: Weight = 50.0
    temperature: float = Field(0.5, gt=0, le=100, description="Of the correlation term")
    hidden_factor: int = Field(16, ge=1, le=64, description="Hidden width of the alignment head, in teacher feature widths")

    def _weighted(self) -> list[Term]:
        return [
            Labels(weight=self.labels),
            Alignment(weight=self.alignment, hidden_factor=self.hidden_factor),
            Correlation(weight=self.correlation, temperature=self.temperature),
        ]


class DLKDSup(DLKD):
    """DLKD as the authors' code runs it: with the supervised contrastive term between teacher and student."""

    name: Literal["dlkd_sup"] = "dlkd_sup"  # type: ignore[assignment]  # a subclass narrows its tag
    supcon: Weight = 1.0
    supcon_temperature: float = Field(0.07, gt=0, le=100)

    def _weighted(self) -> list[Term]:
        return [*super()._weighted(), SupervisedContrast(weight=self.supcon, temperature=self.supcon_temperature)]


class DLKDAuto(Method):
    """DLKD with weights and views from the budget: the published ones at the paper's, measured ones on short runs.

    The published weights are made for 188,000 steps; on a few hundred they drown the labels (docs/benchmarks.md; every trial is
    in docs/log.md). Measured are 5 and 1 for alignment and correlation at 790 steps, and a third of that at a third of them. From
    there to the paper's number the weights are interpolated over the logarithm of the steps; nothing was measured between.
    """

    source = DLKD.source

    name: Literal["dlkd_auto"] = "dlkd_auto"
    views: Views | None = Field(None, description="Left out: four rotations at the paper's budget, else a single view")  # type: ignore[assignment]
    labels: Weight = 1.0

    def adapted(self, situation: Situation) -> Method:
        """The DLKD of that run."""
        whole = situation.steps >= _PAPER
        return DLKD(
            views=self.views or ("rotation4" if whole else "single"),
            labels=self.labels,
            alignment=_fitted(_ALIGNMENT, situation.steps),
            correlation=_fitted(_CORRELATION, situation.steps),
        )

    def _weighted(self) -> list[Term]:
        return DLKD(labels=self.labels).weighted()  # the kinds of terms; `adapted` has their weights


def _fitted(ends: tuple[float, float], steps: int) -> float:
    """In proportion to the steps of a short run, geometrically between its end and the paper's, whose weight is exact."""
    short, paper = ends
    if steps < _SHORT:
        return short * steps / _SHORT
    missing = max(0.0, log(_PAPER / steps) / log(_PAPER / _SHORT))
    return paper * float((short / paper) ** missing)
