"""The methods: each expands to weighted terms. Defaults are the published ones (sources in the docstrings).

Where a source is uncertain the docstring says so; see docs/decisions.md.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dlkd_core.catalog.terms import Alignment, Correlation, Hinton, Labels, SupervisedContrast, Term
from dlkd_core.frozen import Frozen

Views = Literal["single", "rotation4"]
Weighted = tuple[float, Term]
Weight = Annotated[float, Field(ge=0, le=1e6)]


class Method(Frozen):
    """What every method has: its views of an image, and its weighted terms."""

    needs_teacher: ClassVar[bool] = True
    source: ClassVar[str] = ""

    name: str
    views: Views = "single"

    def terms(self) -> list[Weighted]:
        """The weighted terms of the loss; those of weight zero are left out."""
        return [(weight, term) for weight, term in self._terms() if weight > 0]

    def _terms(self) -> list[Weighted]:
        raise NotImplementedError(type(self).__name__)


class Plain(Method):
    """Labels alone: how a teacher, or a student for comparison, is trained."""

    needs_teacher = False

    name: Literal["plain"] = "plain"

    def _terms(self) -> list[Weighted]:
        return [(1.0, Labels())]


class KD(Method):
    """Softened logits (Hinton, Vinyals, Dean 2015), weights of RepDistiller: 0.1 labels, 0.9 teacher, T = 4."""

    source = "https://arxiv.org/abs/1503.02531"

    name: Literal["kd"] = "kd"
    temperature: float = Field(4.0, gt=0, le=100)
    labels: Weight = 0.1
    teacher: Weight = 0.9

    def _terms(self) -> list[Weighted]:
        return [(self.labels, Labels()), (self.teacher, Hinton(temperature=self.temperature))]


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

    def _terms(self) -> list[Weighted]:
        return [
            (self.labels, Labels()),
            (self.alignment, Alignment(hidden_factor=self.hidden_factor)),
            (self.correlation, Correlation(temperature=self.temperature)),
        ]


class DLKDSup(DLKD):
    """DLKD as the authors' code runs it: with the supervised contrastive term between teacher and student."""

    name: Literal["dlkd_sup"] = "dlkd_sup"  # type: ignore[assignment]  # a subclass narrows its tag
    supcon: Weight = 1.0
    supcon_temperature: float = Field(0.07, gt=0, le=100)

    def _terms(self) -> list[Weighted]:
        return [*super()._terms(), (self.supcon, SupervisedContrast(temperature=self.supcon_temperature))]


METHODS: dict[str, type[Method]] = {"plain": Plain, "kd": KD, "dlkd": DLKD, "dlkd_sup": DLKDSup}
MethodChoice = Annotated[Plain | KD | DLKD | DLKDSup, Field(discriminator="name")]
