"""The methods: each expands to weighted terms. Defaults are the published ones (sources in the docstrings).

Where a source is uncertain the docstring says so; see docs/decisions.md.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dlkd_core.catalog.terms import (
    Alignment,
    Attention,
    Congruence,
    Contrast,
    Correlation,
    Decoupled,
    Geometry,
    Hint,
    Hinton,
    Labels,
    NeuronSelectivity,
    Probabilities,
    Relations,
    Similarity,
    SupervisedContrast,
    Term,
    TermChoice,
    Variational,
    Weight,
)
from dlkd_core.frozen import Frozen

Views = Literal["single", "rotation4"]


class Method(Frozen):
    """What every method has: its views of an image, and its weighted terms."""

    needs_teacher: ClassVar[bool] = True
    source: ClassVar[str] = ""

    name: str
    views: Views = "single"

    def weighted(self) -> list[Term]:
        """The terms of the loss with their weights; those of weight zero are left out."""
        return [term for term in self._weighted() if term.weight > 0]

    def _weighted(self) -> list[Term]:
        raise NotImplementedError(type(self).__name__)


class Plain(Method):
    """Labels alone: how a teacher, or a student for comparison, is trained."""

    needs_teacher = False

    name: Literal["plain"] = "plain"

    def _weighted(self) -> list[Term]:
        return [Labels()]


class KD(Method):
    """Softened logits (Hinton, Vinyals, Dean 2015), weights of RepDistiller: 0.1 labels, 0.9 teacher, T = 4."""

    source = "https://arxiv.org/abs/1503.02531"

    name: Literal["kd"] = "kd"
    temperature: float = Field(4.0, gt=0, le=100)
    labels: Weight = 0.1
    teacher: Weight = 0.9

    def _weighted(self) -> list[Term]:
        return [Labels(weight=self.labels), Hinton(weight=self.teacher, temperature=self.temperature)]


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


class _Compared(Method):
    """Labels and one term, as the published code combines them."""

    labels: Weight = 1.0

    def _with(self, term: Term) -> list[Term]:
        return [Labels(weight=self.labels), term]


class DKD(_Compared):
    """Decoupled knowledge distillation (Zhao et al. 2022): alpha 1, beta 8, T = 4, warm-up of 20 epochs."""

    source = "https://arxiv.org/abs/2203.08679"

    name: Literal["dkd"] = "dkd"
    temperature: float = Field(4.0, gt=0, le=100)
    alpha: Weight = 1.0
    beta: Weight = Field(8.0, description="Published: 8; 6 for similar wide networks and vgg, 2 for resnet56 to resnet20")
    warmup_epochs: int = Field(20, ge=0)

    def _weighted(self) -> list[Term]:
        term = Decoupled(temperature=self.temperature, alpha=self.alpha, beta=self.beta, warmup_epochs=self.warmup_epochs)
        return self._with(term)


class DIST(_Compared):
    """Relations between and within classes by Pearson correlation (Huang et al. 2022): weight 2, tau = 4."""

    source = "https://arxiv.org/abs/2205.10536"

    name: Literal["dist"] = "dist"
    relations: Weight = 2.0
    temperature: float = Field(4.0, gt=0, le=100)

    def _weighted(self) -> list[Term]:
        return self._with(Relations(weight=self.relations, temperature=self.temperature))


class FitNet(_Compared):
    """Hints from a middle block (Romero et al. 2015), in one stage, weight 100."""

    source = "https://arxiv.org/abs/1412.6550"

    name: Literal["fitnet"] = "fitnet"
    hint: Weight = 100.0

    def _weighted(self) -> list[Term]:
        return self._with(Hint(weight=self.hint))


class AT(_Compared):
    """Attention transfer (Zagoruyko, Komodakis 2017), weight 1000."""

    source = "https://arxiv.org/abs/1612.03928"

    name: Literal["at"] = "at"
    attention: Weight = 1000.0

    def _weighted(self) -> list[Term]:
        return self._with(Attention(weight=self.attention))


class SP(_Compared):
    """Similarity-preserving distillation (Tung, Mori 2019), weight 3000."""

    source = "https://arxiv.org/abs/1907.09682"

    name: Literal["sp"] = "sp"
    similarity: Weight = 3000.0

    def _weighted(self) -> list[Term]:
        return self._with(Similarity(weight=self.similarity))


class CC(_Compared):
    """Correlation congruence (Peng et al. 2019), weight 0.02."""

    source = "https://arxiv.org/abs/1904.01802"

    name: Literal["cc"] = "cc"
    congruence: Weight = 0.02

    def _weighted(self) -> list[Term]:
        return self._with(Congruence(weight=self.congruence))


class VID(_Compared):
    """Variational information distillation (Ahn et al. 2019), weight 1."""

    source = "https://arxiv.org/abs/1904.05835"

    name: Literal["vid"] = "vid"
    information: Weight = 1.0

    def _weighted(self) -> list[Term]:
        return self._with(Variational(weight=self.information))


class RKD(_Compared):
    """Relational knowledge distillation (Park et al. 2019): distances 25, angles 50."""

    source = "https://arxiv.org/abs/1904.05068"

    name: Literal["rkd"] = "rkd"
    distance: Weight = 25.0
    angle: Weight = 50.0

    def _weighted(self) -> list[Term]:
        return self._with(Geometry(distance=self.distance, angle=self.angle))


class PKT(_Compared):
    """Probabilistic knowledge transfer (Passalis, Tefas 2018), weight 30000."""

    source = "https://arxiv.org/abs/1803.10837"

    name: Literal["pkt"] = "pkt"
    probabilities: Weight = 30_000.0

    def _weighted(self) -> list[Term]:
        return self._with(Probabilities(weight=self.probabilities))


class NST(_Compared):
    """Neuron selectivity transfer (Huang, Wang 2017), weight 50."""

    source = "https://arxiv.org/abs/1707.01219"

    name: Literal["nst"] = "nst"
    selectivity: Weight = 50.0

    def _weighted(self) -> list[Term]:
        return self._with(NeuronSelectivity(weight=self.selectivity))


class CRD(_Compared):
    """Contrastive representation distillation (Tian et al. 2020): weight 0.8, 16,384 negatives; with `kd` 1 it is CRD+KD."""

    source = "https://arxiv.org/abs/1910.10699"

    name: Literal["crd"] = "crd"
    contrast: Weight = 0.8
    kd: Weight = Field(0.0, description="Of softened logits beside it, T = 4")
    negatives: int = Field(16_384, ge=1, le=1_000_000, description="At most as many as there are images of other classes")

    def _weighted(self) -> list[Term]:
        return [*self._with(Contrast(weight=self.contrast, negatives=self.negatives)), Hinton(weight=self.kd)]


class Combine(Method):
    """Any terms with any weights."""

    name: Literal["combine"] = "combine"
    terms: tuple[TermChoice, ...] = Field((Labels(weight=0.1), Hinton(weight=0.9)), min_length=1, max_length=20)

    def _weighted(self) -> list[Term]:
        return list(self.terms)


METHODS: dict[str, type[Method]] = {
    str(method.model_fields["name"].default): method
    for method in (Plain, KD, DLKD, DLKDSup, DKD, DIST, FitNet, AT, SP, CC, VID, RKD, PKT, NST, CRD, Combine)
}
MethodChoice = Annotated[
    Plain | KD | DLKD | DLKDSup | DKD | DIST | FitNet | AT | SP | CC | VID | RKD | PKT | NST | CRD | Combine,
    Field(discriminator="name"),
]
