"""The terms that a method's loss is the weighted sum of: parameters here, code in `dlkd_core.losses`."""

from typing import ClassVar

from pydantic import Field

from dlkd_core.frozen import Frozen


class Term(Frozen):
    """One loss term: its parameters, and where its code is (``module:Class``), resolved only in the process that trains.

    `views` says which of an image's views the term sees; see `dlkd_core.losses`.
    """

    target: ClassVar[str]
    name: ClassVar[str]


class Labels(Term):
    """Cross-entropy with the labels, on the unrotated view alone."""

    name = "labels"
    target = "dlkd_core.losses.labels:Labels"


class Hinton(Term):
    """KL divergence of softened logits, times T squared (Hinton et al. 2015), on the unrotated view alone."""

    name = "kd"
    target = "dlkd_core.losses.kd:Hinton"
    temperature: float = Field(4.0, gt=0)


class Alignment(Term):
    """Each sample's representation to the teacher's: squared distance of unit vectors, over all views."""

    name = "alignment"
    target = "dlkd_core.losses.alignment:Alignment"
    hidden_factor: int = Field(16, ge=1, le=64, description="Hidden width of the head, in teacher feature widths")


class Correlation(Term):
    """The batch's similarity structure to the teacher's: KL of softmax(cosine / temperature), rotated against unrotated views."""

    name = "correlation"
    target = "dlkd_core.losses.correlation:Correlation"
    temperature: float = Field(0.5, gt=0)


class SupervisedContrast(Term):
    """Supervised contrastive loss over both networks' embeddings of all views (Khosla et al. 2020)."""

    name = "supcon"
    target = "dlkd_core.losses.supcon:SupervisedContrast"
    temperature: float = Field(0.07, gt=0)
    dimensions: int = Field(128, ge=1, le=4096)
