"""Methods that compare only logits. The default weights are those of their published code."""

from typing import Literal

from pydantic import Field

from dlkd_core.catalog.base_loss_params import LossParams, Weight
from dlkd_core.catalog.loss_params import (
    CrossEntropyParams,
    DISTParams,
    DKDParams,
    MLLDParams,
    NKDParams,
    OFAParams,
    WTTMParams,
)
from dlkd_core.catalog.methods.base_method import PublishedMethod, ViewKind


class DKD(PublishedMethod):
    """Decoupled knowledge distillation (Zhao et al. 2022).

    Published parameters: alpha 1, beta 8, T = 4, warm-up of 20 epochs.
    """

    source = "https://arxiv.org/abs/2203.08679"

    name: Literal["dkd"] = "dkd"
    temperature: float = Field(4.0, gt=0, le=100)
    alpha: Weight = 1.0
    beta: Weight = Field(
        8.0,
        description="Weight of the non-target classes. Published: 8 in general, 6 for two wide"
        " ResNets or two VGGs, 2 for resnet56/resnet20 (teacher/student).",
    )
    warmup_epochs: int = Field(20, ge=0)
    standardize: bool = Field(
        False,
        description="Replace the logits of each image by their z-scores (Sun et al. 2024)."
        " Published with temperature 2 and with alpha and beta multiplied by 9: alpha 9, beta 72"
        " and labels 1. Needs at least three classes.",
    )

    def _build_terms(self) -> list[LossParams]:
        term = DKDParams(
            temperature=self.temperature,
            alpha=self.alpha,
            beta=self.beta,
            warmup_epochs=self.warmup_epochs,
            standardize=self.standardize,
        )
        return self._with_labels(term)


class DIST(PublishedMethod):
    """Pearson correlation of predictions between and within classes (Huang et al. 2022).

    Published parameters: weight 2, tau = 4.
    """

    source = "https://arxiv.org/abs/2205.10536"

    name: Literal["dist"] = "dist"
    relations: Weight = 2.0
    temperature: float = Field(4.0, gt=0, le=100)

    def _build_terms(self) -> list[LossParams]:
        return self._with_labels(DISTParams(weight=self.relations, temperature=self.temperature))


class WTTM(PublishedMethod):
    """Weighted transformed teacher matching (Zheng and Yang 2024).

    The published parameters differ for each pair of networks, and the published code has no default
    weight. The defaults here, exponent 0.2 and weight 4, are those of its example with CRD.
    """

    source = "https://arxiv.org/abs/2402.11148"

    name: Literal["wttm"] = "wttm"
    teacher: Weight = Field(
        4.0, description="Weight of the term. Published: 4 together with CRD, for vgg13 to vgg8."
    )
    exponent: float = Field(
        0.2,
        gt=0,
        le=10,
        description="Exponent of the teacher's probabilities, which is 1 / temperature. Published:"
        " 0.2 together with CRD, for vgg13 to vgg8.",
    )

    def _build_terms(self) -> list[LossParams]:
        return self._with_labels(WTTMParams(weight=self.teacher, exponent=self.exponent))


class NKD(PublishedMethod):
    """Normalized knowledge distillation (Yang et al. 2023).

    Published parameters: T = 1 and gamma 1.5 for ImageNet, T = 3 and gamma 3.5 for CIFAR-100.
    """

    source = "https://arxiv.org/abs/2303.13005"

    name: Literal["nkd"] = "nkd"
    teacher: Weight = 1.0
    temperature: float = Field(
        1.0,
        gt=0,
        le=100,
        description="Temperature of the other classes. Published: 1 for ImageNet, 3 for CIFAR-100.",
    )
    gamma: Weight = Field(
        1.5,
        description="Weight of the other classes. Published: 1.5 for ImageNet, 3.5 for CIFAR-100.",
    )

    def _build_terms(self) -> list[LossParams]:
        term = NKDParams(weight=self.teacher, temperature=self.temperature, gamma=self.gamma)
        return self._with_labels(term)


class MLLD(PublishedMethod):
    """Multi-level logit distillation on two views of each image (Jin, Wang and Lin 2023).

    Published weights: labels 0.1 for each view, logits 0.9, T = 4. The published first view is a
    padded crop, and its second view is such a crop with RandAugment and Cutout. Here, the views are
    the plain and the strongly augmented crop of MoCo v2.
    """

    source = (
        "https://openaccess.thecvf.com/content/CVPR2023/html/"
        "Jin_Multi-Level_Logit_Distillation_CVPR_2023_paper.html"
    )

    name: Literal["mlld"] = "mlld"
    views: ViewKind = ViewKind.MOCO
    labels: Weight = Field(0.1, description="Weight of the labels in each view")
    teacher: Weight = 0.9
    temperature: float = Field(
        4.0,
        gt=0,
        le=100,
        description="Base temperature, in addition to the temperatures 2, 3, 5 and 6. Published: 4"
        " for CIFAR-100, 1 for ImageNet, with labels and teacher 0.5.",
    )

    def _build_terms(self) -> list[LossParams]:
        return [
            CrossEntropyParams(weight=self.labels, all_views=True),
            MLLDParams(weight=self.teacher, temperature=self.temperature),
        ]


class OFA(PublishedMethod):
    """Distillation between architectures with exits after each block (Hao et al. 2023).

    Published weights: labels 1, logits 1, exits 1. Transformers have the same convolutional exits
    as other students. The published code gives them exits with self-attention.
    """

    source = "https://arxiv.org/abs/2310.19444"

    name: Literal["ofa"] = "ofa"
    teacher: Weight = Field(1.0, description="Weight of the student's logits")
    exits: float = Field(
        1.0, ge=0, le=1e6, description="Weight of each exit relative to the student's own logits"
    )
    exponent: float = Field(
        1.0,
        gt=0,
        le=10,
        description="Exponent of the enhanced targets. Published: 1 for swin_t to resnet18 on"
        " CIFAR-100, 1.5 for DeiT-T to resnet18 on ImageNet.",
    )
    temperature: float = Field(1.0, gt=0, le=100)

    def _build_terms(self) -> list[LossParams]:
        term = OFAParams(
            weight=self.teacher,
            exits=self.exits,
            exponent=self.exponent,
            temperature=self.temperature,
        )
        return self._with_labels(term)
