"""Methods that DLKD is compared with. The default weights are those of their published code.

Methods that compare only logits are in `logit_methods`.
"""

from typing import Literal

from pydantic import Field

from dlkd_core.catalog.base_loss_params import LossParams, Weight
from dlkd_core.catalog.feature_map_loss_params import (
    ABParams,
    ATParams,
    FitNetParams,
    FTParams,
    NSTParams,
    ReviewKDParams,
    SPParams,
    VIDParams,
)
from dlkd_core.catalog.loss_params import (
    CCParams,
    CompRessParams,
    CRDParams,
    KDParams,
    PKTParams,
    RKDParams,
    SEEDParams,
    SRRLParams,
    SSKDLogitsParams,
    SSKDParams,
)
from dlkd_core.catalog.methods.base_method import PublishedMethod, ViewKind


class FitNet(PublishedMethod):
    """Hints from a middle block (Romero et al. 2015) with weight 100, in one training stage."""

    source = "https://arxiv.org/abs/1412.6550"

    name: Literal["fitnet"] = "fitnet"
    hint: Weight = 100.0

    def _build_terms(self) -> list[LossParams]:
        return self._with_labels(FitNetParams(weight=self.hint))


class AT(PublishedMethod):
    """Attention transfer (Zagoruyko and Komodakis 2017) with weight 1000."""

    source = "https://arxiv.org/abs/1612.03928"

    name: Literal["at"] = "at"
    attention: Weight = 1000.0

    def _build_terms(self) -> list[LossParams]:
        return self._with_labels(ATParams(weight=self.attention))


class SP(PublishedMethod):
    """Similarity-preserving distillation (Tung and Mori 2019) with weight 3000."""

    source = "https://arxiv.org/abs/1907.09682"

    name: Literal["sp"] = "sp"
    similarity: Weight = 3000.0

    def _build_terms(self) -> list[LossParams]:
        return self._with_labels(SPParams(weight=self.similarity))


class CC(PublishedMethod):
    """Correlation congruence (Peng et al. 2019) with weight 0.02."""

    source = "https://arxiv.org/abs/1904.01802"

    name: Literal["cc"] = "cc"
    congruence: Weight = 0.02

    def _build_terms(self) -> list[LossParams]:
        return self._with_labels(CCParams(weight=self.congruence))


class VID(PublishedMethod):
    """Variational information distillation (Ahn et al. 2019) with weight 1."""

    source = "https://arxiv.org/abs/1904.05835"

    name: Literal["vid"] = "vid"
    information: Weight = 1.0

    def _build_terms(self) -> list[LossParams]:
        return self._with_labels(VIDParams(weight=self.information))


class RKD(PublishedMethod):
    """Relational knowledge distillation (Park et al. 2019).

    Published weights: distances 25, angles 50.
    """

    source = "https://arxiv.org/abs/1904.05068"

    name: Literal["rkd"] = "rkd"
    distance: Weight = 25.0
    angle: Weight = 50.0

    def _build_terms(self) -> list[LossParams]:
        return self._with_labels(RKDParams(distance=self.distance, angle=self.angle))


class PKT(PublishedMethod):
    """Probabilistic knowledge transfer (Passalis and Tefas 2018) with weight 30000."""

    source = "https://arxiv.org/abs/1803.10837"

    name: Literal["pkt"] = "pkt"
    probabilities: Weight = 30_000.0

    def _build_terms(self) -> list[LossParams]:
        return self._with_labels(PKTParams(weight=self.probabilities))


class NST(PublishedMethod):
    """Neuron selectivity transfer (Huang and Wang 2017) with weight 50."""

    source = "https://arxiv.org/abs/1707.01219"

    name: Literal["nst"] = "nst"
    selectivity: Weight = 50.0

    def _build_terms(self) -> list[LossParams]:
        return self._with_labels(NSTParams(weight=self.selectivity))


class CRD(PublishedMethod):
    """Contrastive representation distillation (Tian et al. 2020).

    Published parameters: weight 0.8, 16,384 negatives. With `kd` set to 1, this is CRD+KD.
    """

    source = "https://arxiv.org/abs/1910.10699"

    name: Literal["crd"] = "crd"
    contrast: Weight = 0.8
    kd: Weight = Field(0.0, description="Weight of an additional KD term with T = 4")
    negatives: int = Field(
        16_384,
        ge=1,
        le=1_000_000,
        description="Number of negatives per image, drawn with replacement from the other classes",
    )

    def _build_terms(self) -> list[LossParams]:
        return [
            *self._with_labels(CRDParams(weight=self.contrast, negatives=self.negatives)),
            KDParams(weight=self.kd),
        ]


class FT(PublishedMethod):
    """Factor transfer (Kim, Park and Kwak 2018) with weight 200.

    The paraphraser is trained together with the student. RepDistiller instead trains it for 30
    epochs before the student.
    """

    source = "https://arxiv.org/abs/1802.04977"

    name: Literal["ft"] = "ft"
    factors: Weight = 200.0

    def _build_terms(self) -> list[LossParams]:
        return self._with_labels(FTParams(weight=self.factors))


class AB(PublishedMethod):
    """Activation boundary distillation (Heo et al. 2019) with margin 1 and weight 1.

    The term is used in every epoch. RepDistiller instead trains with this term alone for 30 epochs,
    and then without it.
    """

    source = "https://arxiv.org/abs/1811.03233"

    name: Literal["ab"] = "ab"
    boundaries: Weight = 1.0
    margin: float = Field(1.0, gt=0, le=100)

    def _build_terms(self) -> list[LossParams]:
        return self._with_labels(ABParams(weight=self.boundaries, margin=self.margin))


class SSKD(PublishedMethod):
    """Self-supervised knowledge distillation (Xu et al. 2020).

    Published weights: labels 0.1, logits 0.9 (first view) and 2.7 (other views), similarities 10.
    """

    source = "https://arxiv.org/abs/2006.07114"

    name: Literal["sskd"] = "sskd"
    views: ViewKind = ViewKind.ROTATION4
    labels: Weight = 0.1
    teacher: Weight = Field(0.9, description="Weight of the softened logits of the first view")
    rotated: Weight = Field(2.7, description="Weight of the softened logits of the other views")
    similarities: Weight = 10.0
    temperature: float = Field(4.0, gt=0, le=100, description="Temperature of the logits")
    keep: float = Field(
        0.75,
        ge=0,
        le=1,
        description="Fraction to keep of the views that the teacher does not find most similar to"
        " their own image",
    )

    def _build_terms(self) -> list[LossParams]:
        return [
            *self._with_labels(KDParams(weight=self.teacher, temperature=self.temperature)),
            SSKDLogitsParams(weight=self.rotated, temperature=self.temperature),
            SSKDParams(weight=self.similarities, keep=self.keep),
        ]


class SRRL(PublishedMethod):
    """Softmax regression with the teacher's own classifier (Yang et al. 2021).

    Published weights: features 1, regression 1.
    """

    source = "https://openreview.net/forum?id=ZzwDy_wiWv"

    name: Literal["srrl"] = "srrl"
    features: Weight = 1.0
    regression: float = Field(
        1.0, ge=0, le=1e6, description="Weight of the logit error relative to the feature error"
    )

    def _build_terms(self) -> list[LossParams]:
        return self._with_labels(SRRLParams(weight=self.features, regression=self.regression))


class ReviewKD(PublishedMethod):
    """Knowledge review (Chen et al. 2021) with weight 5 and a warm-up of 20 epochs."""

    source = "https://arxiv.org/abs/2104.09044"

    name: Literal["reviewkd"] = "reviewkd"
    review: Weight = Field(
        5.0,
        description="Weight of the term. Published: 5 in general, 8 for resnet32x4/ShuffleV2"
        " (teacher/student), 1 for resnet110/resnet32, 0.6 for resnet110/resnet20.",
    )
    warmup_epochs: int = Field(20, ge=0)

    def _build_terms(self) -> list[LossParams]:
        return self._with_labels(
            ReviewKDParams(weight=self.review, warmup_epochs=self.warmup_epochs)
        )


class SEED(PublishedMethod):
    """Self-supervised distillation from teachers trained without labels (Fang et al. 2021).

    Published parameters: a queue of 65,536 embeddings, temperatures 0.2 (student) and 0.01
    (teacher).
    """

    source = "https://arxiv.org/abs/2101.04731"

    name: Literal["seed"] = "seed"
    labels: Weight = 0.0
    instances: Weight = 1.0
    student_temperature: float = Field(0.2, gt=0, le=100)
    teacher_temperature: float = Field(
        0.01,
        gt=0,
        le=100,
        description="Temperature of the teacher, as in the paper. The published code uses 0.0001,"
        " which makes the targets nearly one-hot.",
    )
    queue: int = Field(
        65_536,
        ge=1,
        le=1_000_000,
        description="Queue length, limited to the number of training images",
    )

    def _build_terms(self) -> list[LossParams]:
        term = SEEDParams(
            weight=self.instances,
            student_temperature=self.student_temperature,
            teacher_temperature=self.teacher_temperature,
            queue=self.queue,
        )
        return self._with_labels(term)


class CompRess(PublishedMethod):
    """Compressed representations of teachers trained without labels (Koohpayegani et al. 2020).

    Published parameters: two queues of 128,000 embeddings, T = 0.04.
    """

    source = "https://arxiv.org/abs/2010.14713"

    name: Literal["compress"] = "compress"
    labels: Weight = 0.0
    compression: Weight = 1.0
    temperature: float = Field(0.04, gt=0, le=100)
    queues: Literal[1, 2] = Field(
        2,
        description="Number of queues. 1: both networks use the teacher's queue; 2: each network"
        " has its own.",
    )
    queue: int = Field(
        128_000,
        ge=1,
        le=1_000_000,
        description="Queue length, limited to the number of training images",
    )

    def _build_terms(self) -> list[LossParams]:
        term = CompRessParams(
            weight=self.compression,
            temperature=self.temperature,
            queues=self.queues,
            queue=self.queue,
        )
        return self._with_labels(term)
