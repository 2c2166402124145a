"""The methods that DLKD is compared with, each as its published code weighs it (sources in the docstrings)."""

from typing import Literal

from pydantic import Field

from dlkd_core.catalog.method import Compared, Views
from dlkd_core.catalog.terms import (
    Attention,
    Boundaries,
    Compression,
    Congruence,
    Contrast,
    Decoupled,
    Factors,
    Geometry,
    Hint,
    Hinton,
    Instances,
    NeuronSelectivity,
    Probabilities,
    Relations,
    Review,
    RotatedLogits,
    SelfSupervision,
    Similarity,
    SoftmaxRegression,
    Term,
    Variational,
    Weight,
)


class DKD(Compared):
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


class DIST(Compared):
    """Relations between and within classes by Pearson correlation (Huang et al. 2022): weight 2, tau = 4."""

    source = "https://arxiv.org/abs/2205.10536"

    name: Literal["dist"] = "dist"
    relations: Weight = 2.0
    temperature: float = Field(4.0, gt=0, le=100)

    def _weighted(self) -> list[Term]:
        return self._with(Relations(weight=self.relations, temperature=self.temperature))


class FitNet(Compared):
    """Hints from a middle block (Romero et al. 2015), in one stage, weight 100."""

    source = "https://arxiv.org/abs/1412.6550"

    name: Literal["fitnet"] = "fitnet"
    hint: Weight = 100.0

    def _weighted(self) -> list[Term]:
        return self._with(Hint(weight=self.hint))


class AT(Compared):
    """Attention transfer (Zagoruyko, Komodakis 2017), weight 1000."""

    source = "https://arxiv.org/abs/1612.03928"

    name: Literal["at"] = "at"
    attention: Weight = 1000.0

    def _weighted(self) -> list[Term]:
        return self._with(Attention(weight=self.attention))


class SP(Compared):
    """Similarity-preserving distillation (Tung, Mori 2019), weight 3000."""

    source = "https://arxiv.org/abs/1907.09682"

    name: Literal["sp"] = "sp"
    similarity: Weight = 3000.0

    def _weighted(self) -> list[Term]:
        return self._with(Similarity(weight=self.similarity))


class CC(Compared):
    """Correlation congruence (Peng et al. 2019), weight 0.02."""

    source = "https://arxiv.org/abs/1904.01802"

    name: Literal["cc"] = "cc"
    congruence: Weight = 0.02

    def _weighted(self) -> list[Term]:
        return self._with(Congruence(weight=self.congruence))


class VID(Compared):
    """Variational information distillation (Ahn et al. 2019), weight 1."""

    source = "https://arxiv.org/abs/1904.05835"

    name: Literal["vid"] = "vid"
    information: Weight = 1.0

    def _weighted(self) -> list[Term]:
        return self._with(Variational(weight=self.information))


class RKD(Compared):
    """Relational knowledge distillation (Park et al. 2019): distances 25, angles 50."""

    source = "https://arxiv.org/abs/1904.05068"

    name: Literal["rkd"] = "rkd"
    distance: Weight = 25.0
    angle: Weight = 50.0

    def _weighted(self) -> list[Term]:
        return self._with(Geometry(distance=self.distance, angle=self.angle))


class PKT(Compared):
    """Probabilistic knowledge transfer (Passalis, Tefas 2018), weight 30000."""

    source = "https://arxiv.org/abs/1803.10837"

    name: Literal["pkt"] = "pkt"
    probabilities: Weight = 30_000.0

    def _weighted(self) -> list[Term]:
        return self._with(Probabilities(weight=self.probabilities))


class NST(Compared):
    """Neuron selectivity transfer (Huang, Wang 2017), weight 50."""

    source = "https://arxiv.org/abs/1707.01219"

    name: Literal["nst"] = "nst"
    selectivity: Weight = 50.0

    def _weighted(self) -> list[Term]:
        return self._with(NeuronSelectivity(weight=self.selectivity))


class CRD(Compared):
    """Contrastive representation distillation (Tian et al. 2020): weight 0.8, 16,384 negatives; with `kd` 1 it is CRD+KD."""

    source = "https://arxiv.org/abs/1910.10699"

    name: Literal["crd"] = "crd"
    contrast: Weight = 0.8
    kd: Weight = Field(0.0, description="Of softened logits beside it, T = 4")
    negatives: int = Field(16_384, ge=1, le=1_000_000, description="At most as many as there are images of other classes")

    def _weighted(self) -> list[Term]:
        return [*self._with(Contrast(weight=self.contrast, negatives=self.negatives)), Hinton(weight=self.kd)]


class FT(Compared):
    """Factor transfer (Kim, Park, Kwak 2018), weight 200; the paraphraser is trained along, not 30 epochs before."""

    source = "https://arxiv.org/abs/1802.04977"

    name: Literal["ft"] = "ft"
    factors: Weight = 200.0

    def _weighted(self) -> list[Term]:
        return self._with(Factors(weight=self.factors))


class AB(Compared):
    """Activation boundaries (Heo et al. 2019), margin 1, weight 1; in every epoch, not in 30 epochs of their own before."""

    source = "https://arxiv.org/abs/1811.03233"

    name: Literal["ab"] = "ab"
    boundaries: Weight = 1.0
    margin: float = Field(1.0, gt=0, le=100)

    def _weighted(self) -> list[Term]:
        return self._with(Boundaries(weight=self.boundaries, margin=self.margin))


class SSKD(Compared):
    """Self-supervision (Xu et al. 2020): labels 0.1, logits 0.9 and 2.7 (other views), similarities 10."""

    source = "https://arxiv.org/abs/2006.07114"

    name: Literal["sskd"] = "sskd"
    views: Views = "rotation4"
    labels: Weight = 0.1
    teacher: Weight = Field(0.9, description="Of softened logits of the first view")
    rotated: Weight = Field(2.7, description="Of softened logits of the other views")
    similarities: Weight = 10.0
    temperature: float = Field(4.0, gt=0, le=100, description="Of the logits")
    keep: float = Field(0.75, ge=0, le=1, description="Share kept of the rows whose own image the teacher does not rank first")

    def _weighted(self) -> list[Term]:
        return [
            *self._with(Hinton(weight=self.teacher, temperature=self.temperature)),
            RotatedLogits(weight=self.rotated, temperature=self.temperature),
            SelfSupervision(weight=self.similarities, keep=self.keep),
        ]


class SRRL(Compared):
    """Softmax regression on the teacher's own classifier (Yang et al. 2021): features 1, regression 1."""

    source = "https://openreview.net/forum?id=ZzwDy_wiWv"

    name: Literal["srrl"] = "srrl"
    features: Weight = 1.0
    regression: float = Field(1.0, ge=0, le=1e6, description="Of the teacher's classifier, in weights of the features")

    def _weighted(self) -> list[Term]:
        return self._with(SoftmaxRegression(weight=self.features, regression=self.regression))


class ReviewKD(Compared):
    """Knowledge review (Chen et al. 2021): weight 5, warm-up of 20 epochs."""

    source = "https://arxiv.org/abs/2104.09044"

    name: Literal["reviewkd"] = "reviewkd"
    review: Weight = Field(
        5.0, description="Published: 5; 8 for resnet32x4 to ShuffleV2, 1 for resnet110 to resnet32, 0.6 to resnet20"
    )
    warmup_epochs: int = Field(20, ge=0)

    def _weighted(self) -> list[Term]:
        return self._with(Review(weight=self.review, warmup_epochs=self.warmup_epochs))


class SEED(Compared):
    """Self-supervised distillation (Fang et al. 2021) for teachers without labels: a queue of 65,536, tau 0.2 and 0.01."""

    source = "https://arxiv.org/abs/2101.04731"

    name: Literal["seed"] = "seed"
    labels: Weight = 0.0
    instances: Weight = 1.0
    student_temperature: float = Field(0.2, gt=0, le=100)
    teacher_temperature: float = Field(
        0.01, gt=0, le=100, description="As in the paper; the published code has 0.0001, near one-hot"
    )
    queue: int = Field(65_536, ge=1, le=1_000_000, description="At most as many as there are training images")

    def _weighted(self) -> list[Term]:
        term = Instances(
            weight=self.instances,
            student_temperature=self.student_temperature,
            teacher_temperature=self.teacher_temperature,
            queue=self.queue,
        )
        return self._with(term)


class CompRess(Compared):
    """Compressed representations (Koohpayegani et al. 2020) for teachers without labels: two queues of 128,000, T = 0.04."""

    source = "https://arxiv.org/abs/2010.14713"

    name: Literal["compress"] = "compress"
    labels: Weight = 0.0
    compression: Weight = 1.0
    temperature: float = Field(0.04, gt=0, le=100)
    queues: Literal[1, 2] = Field(2, description="1: the student meets the teacher's queue; 2: each network its own")
    queue: int = Field(128_000, ge=1, le=1_000_000, description="At most as many as there are training images")

    def _weighted(self) -> list[Term]:
        term = Compression(weight=self.compression, temperature=self.temperature, queues=self.queues, queue=self.queue)
        return self._with(term)
