"""Parameters of the loss terms. A method's loss is a weighted sum of terms.

In the descriptions of the terms, "the networks" are the student and its teacher.
The terms are implemented in `dlkd_core.losses`.
"""

from typing import Annotated, Literal, get_args

from pydantic import Field

from dlkd_core.catalog.base_loss_params import LossParams
from dlkd_core.catalog.feature_map_loss_params import FeatureMapParams

# The z-scores of two logits only say which class is more likely.
MIN_STANDARDIZED_CLASSES = 3


class CrossEntropyParams(LossParams):
    """Cross-entropy with the labels, on the first view or on all views."""

    target = "dlkd_core.losses.cross_entropy:CrossEntropyLoss"
    needs_labels = True
    trains_classifier = True

    name: Literal["labels"] = "labels"
    all_views: bool = Field(
        False, description="Add up the losses of all views instead of using the first view"
    )


class KDParams(LossParams):
    """KL divergence between the networks' softened logits on the first view (Hinton et al. 2015).

    The divergence is multiplied by the square of the temperature.
    """

    target = "dlkd_core.losses.kd:KDLoss"
    needs_logits = True
    trains_classifier = True

    name: Literal["kd"] = "kd"
    temperature: float = Field(4.0, gt=0)
    standardize: bool = Field(
        False,
        description="Replace the logits of each image by their z-scores (Sun et al. 2024)."
        " Published with temperature 2 and weight 9. Needs at least three classes.",
    )

    @property
    def min_classes(self) -> int:
        """Smallest number of classes for which the term is meaningful."""
        return MIN_STANDARDIZED_CLASSES if self.standardize else 1


class AlignmentParams(LossParams):
    """Distance between the student's projected features and the teacher's, on all views."""

    target = "dlkd_core.losses.alignment:AlignmentLoss"

    name: Literal["alignment"] = "alignment"
    hidden_factor: int = Field(
        16,
        ge=1,
        le=64,
        description="Hidden width of the head as a multiple of the teacher's feature width",
    )
    projector: Literal["mlp", "orthogonal"] = Field(
        "mlp",
        description="mlp: head with a hidden layer, squared distance of the unit vectors;"
        " orthogonal: orthogonal projection without a hidden layer, Huber loss with the teacher's"
        " standardized features (VkD, Miles et al. 2024)",
    )


class CorrelationParams(LossParams):
    """KL divergence between the teacher's and the student's similarities within the batch.

    Each view except the first is compared with the first views of all images. Its similarities are
    softmax(cosine / temperature) over these first views.
    """

    target = "dlkd_core.losses.correlation:CorrelationLoss"

    name: Literal["correlation"] = "correlation"
    temperature: float = Field(0.5, gt=0)


class SupConParams(LossParams):
    """Supervised contrastive loss over embeddings of both networks (Khosla et al. 2020)."""

    target = "dlkd_core.losses.supcon:SupConLoss"
    needs_labels = True

    name: Literal["supcon"] = "supcon"
    temperature: float = Field(0.07, gt=0)
    dimensions: int = Field(128, ge=1, le=4096)


class DKDParams(LossParams):
    """Separate KL divergences for the target class and the other classes (Zhao et al. 2022).

    Both are computed on the first view.
    """

    target = "dlkd_core.losses.dkd:DKDLoss"
    needs_labels = True
    needs_logits = True
    trains_classifier = True

    name: Literal["dkd"] = "dkd"
    temperature: float = Field(4.0, gt=0)
    alpha: float = Field(
        1.0,
        ge=0,
        description="Weight of the term for the target class versus all other classes together",
    )
    beta: float = Field(
        8.0, ge=0, description="Weight of the term for the distribution over the other classes"
    )
    standardize: bool = Field(
        False,
        description="Replace the logits of each image by their z-scores (Sun et al. 2024)."
        " Published with temperature 2, alpha 9 and beta 72. Needs at least three classes.",
    )

    @property
    def min_classes(self) -> int:
        """Smallest number of classes for which the term is meaningful."""
        return MIN_STANDARDIZED_CLASSES if self.standardize else 1


class DISTParams(LossParams):
    """Pearson correlation between the networks' predictions (Huang et al. 2022).

    The predictions for the first views are correlated twice: over the classes of each image and
    over the images for each class.
    """

    target = "dlkd_core.losses.dist:DISTLoss"
    needs_logits = True
    trains_classifier = True

    name: Literal["dist"] = "dist"
    temperature: float = Field(4.0, gt=0)
    beta: float = Field(
        1.0, ge=0, description="Weight of the correlation over the classes of an image"
    )
    gamma: float = Field(
        1.0, ge=0, description="Weight of the correlation over the images of a class"
    )


class ReusedClassifierParams(LossParams):
    """Squared error between linearly projected features and the teacher's features.

    The student uses the teacher's classifier on its projected features. After training, the
    projection and this classifier are merged into the student's own classifier, so the student does
    not grow. This is a linear variant of SimKD (Chen et al. 2022).
    """

    target = "dlkd_core.losses.reused_classifier:ReusedClassifierLoss"
    needs_logits = True
    trains_classifier = True

    name: Literal["reused_classifier"] = "reused_classifier"


class WTTMParams(LossParams):
    """Weighted KL divergence from a power of the teacher's probabilities (Zheng and Yang 2024)."""

    target = "dlkd_core.losses.wttm:WTTMLoss"
    needs_logits = True
    trains_classifier = True

    name: Literal["wttm"] = "wttm"
    exponent: float = Field(
        0.2, gt=0, le=10, description="Exponent of the teacher's probabilities; 1 / temperature"
    )


class NKDParams(LossParams):
    """Cross-entropy with the teacher for target and other classes (Yang et al. 2023)."""

    target = "dlkd_core.losses.nkd:NKDLoss"
    needs_labels = True
    needs_logits = True
    trains_classifier = True

    name: Literal["nkd"] = "nkd"
    temperature: float = Field(1.0, gt=0, description="Temperature of the other classes")
    gamma: float = Field(1.5, ge=0, description="Weight of the other classes")


class MLLDParams(LossParams):
    """Distances of softened instances, batches and classes, on several views (Jin et al. 2023)."""

    target = "dlkd_core.losses.mlld:MLLDLoss"
    needs_logits = True
    trains_classifier = True

    name: Literal["mlld"] = "mlld"
    temperature: float = Field(
        4.0, gt=0, description="Base temperature, in addition to the temperatures 2, 3, 5 and 6"
    )


class OFAParams(LossParams):
    """Cross-entropy of logits and exits after each block with enhanced targets (Hao et al. 2023).

    `needs_feature_maps` is false because the exits are branches of the student. The teacher's block
    outputs are not compared.
    """

    target = "dlkd_core.losses.ofa:OFALoss"
    needs_labels = True
    needs_logits = True
    trains_classifier = True

    name: Literal["ofa"] = "ofa"
    exponent: float = Field(1.0, gt=0, le=10, description="Exponent of the enhanced targets")
    temperature: float = Field(1.0, gt=0)
    exits: float = Field(
        1.0, ge=0, description="Weight of the exits relative to the student's own logits"
    )


class RKDParams(LossParams):
    """Huber loss that matches the distances and angles between samples (Park et al. 2019)."""

    target = "dlkd_core.losses.rkd:RKDLoss"

    name: Literal["rkd"] = "rkd"
    distance: float = Field(25.0, ge=0)
    angle: float = Field(50.0, ge=0)


class PKTParams(LossParams):
    """Divergence between the networks' neighbor probabilities in a batch (Passalis and Tefas 2018).

    A sample's neighbor probabilities are its similarities to all samples, divided by their sum.
    """

    target = "dlkd_core.losses.pkt:PKTLoss"

    name: Literal["pkt"] = "pkt"


class CCParams(LossParams):
    """Inner products of the embedding differences of consecutive samples (Peng et al. 2019).

    A sample's embedding difference is the absolute difference between the student's embedding and
    the teacher's.
    """

    target = "dlkd_core.losses.cc:CCLoss"

    name: Literal["cc"] = "cc"
    dimensions: int = Field(128, ge=1, le=4096)


class CRDParams(LossParams):
    """Contrastive loss on first views, with a memory of all training images (Tian et al. 2020)."""

    target = "dlkd_core.losses.crd:CRDLoss"
    needs_labels = True

    name: Literal["crd"] = "crd"
    temperature: float = Field(0.07, gt=0)
    dimensions: int = Field(128, ge=1, le=4096)
    negatives: int = Field(
        16_384,
        ge=1,
        le=1_000_000,
        description="Number of negatives per image, drawn with replacement from the other classes",
    )
    momentum: float = Field(0.5, ge=0, lt=1, description="Momentum of the memory bank")


class SSKDLogitsParams(LossParams):
    """KL divergence between the networks' softened logits on the other views (Xu et al. 2020).

    The other views are all views of an image except the first.
    """

    target = "dlkd_core.losses.sskd:SSKDLogitsLoss"
    needs_logits = True
    trains_classifier = True

    name: Literal["sskd_logits"] = "sskd_logits"
    temperature: float = Field(4.0, gt=0)


class SSKDParams(LossParams):
    """KL divergence between the teacher's and the student's view similarities (Xu et al. 2020).

    Each view other than the first is compared with the first views of all images. The views that
    are hardest for the teacher are excluded.
    """

    target = "dlkd_core.losses.sskd:SSKDLoss"

    name: Literal["sskd"] = "sskd"
    temperature: float = Field(0.5, gt=0)
    keep: float = Field(
        0.75,
        ge=0,
        le=1,
        description="Fraction to keep of the views that the teacher does not find most similar to"
        " their own image",
    )


class SRRLParams(LossParams):
    """Squared errors of the student's features and of the logits they produce (Yang et al. 2021).

    The features are compared with the teacher's features. The logits are what the teacher's own
    classifier predicts from the student's features; they are compared with the teacher's logits.
    """

    target = "dlkd_core.losses.srrl:SRRLLoss"
    needs_logits = True

    name: Literal["srrl"] = "srrl"
    regression: float = Field(
        1.0, ge=0, description="Weight of the logit error relative to the feature error"
    )


class SEEDParams(LossParams):
    """Cross-entropy between teacher and student similarities to earlier images (Fang et al. 2021).

    A queue holds the teacher's embeddings of earlier images.
    """

    target = "dlkd_core.losses.seed:SEEDLoss"

    name: Literal["seed"] = "seed"
    student_temperature: float = Field(0.2, gt=0)
    teacher_temperature: float = Field(0.01, gt=0)
    queue: int = Field(
        65_536,
        ge=1,
        le=1_000_000,
        description="Queue length, limited to the number of training images",
    )


class CompRessParams(LossParams):
    """KL divergence between teacher and student similarities to queues (Koohpayegani et al. 2020).

    The queues hold features of earlier images.
    """

    target = "dlkd_core.losses.compress:CompRessLoss"

    name: Literal["compress"] = "compress"
    temperature: float = Field(0.04, gt=0)
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


_LogitsParams = (
    CrossEntropyParams
    | KDParams
    | DKDParams
    | DISTParams
    | WTTMParams
    | NKDParams
    | MLLDParams
    | OFAParams
    | SSKDLogitsParams
)
_FeatureParams = (
    AlignmentParams
    | CorrelationParams
    | SupConParams
    | RKDParams
    | PKTParams
    | CCParams
    | CRDParams
    | SSKDParams
    | SEEDParams
    | CompRessParams
    | SRRLParams
    | ReusedClassifierParams
)
_AnyParams = _LogitsParams | _FeatureParams | FeatureMapParams
TERMS: dict[str, type[LossParams]] = {
    str(term.model_fields["name"].default): term for term in get_args(_AnyParams)
}
TermChoice = Annotated[_AnyParams, Field(discriminator="name")]
