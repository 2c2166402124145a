"""What a network's features are worth beside its logits: protocols, run on the finished student and on its teacher."""

from typing import ClassVar, Literal

from pydantic import Field

from dlkd_core.frozen import Frozen


class Evaluation(Frozen):
    """A protocol: its parameters, and where its code is (``module:function``), resolved when it is run."""

    target: ClassVar[str]
    source: ClassVar[str] = ""

    name: str


class NearestNeighbours(Evaluation):
    """The val images' classes by a weighted vote of their nearest training images: features as they are, nothing is trained."""

    target = "dlkd_core.evaluation.knn:run"
    source = "https://arxiv.org/abs/1805.01978"

    name: Literal["knn"] = "knn"
    k: int = Field(20, ge=1, le=10_000, description="Neighbours that vote")
    temperature: float = Field(0.07, gt=0, le=100, description="Of the votes: exp(cosine / temperature)")


class LinearProbe(Evaluation):
    """A linear classifier is trained on the frozen features of the training images; its accuracy on the val images."""

    target = "dlkd_core.evaluation.linear_probe:run"
    source = "https://arxiv.org/abs/1610.01644"

    name: Literal["linear_probe"] = "linear_probe"
    penalty: float = Field(1.0, gt=0, le=1e6, description="Of half the squared weights, beside the loss summed over the images")


class Transfer(LinearProbe):
    """The linear probe on another data set (`dataset`): how far the features carry."""

    source = "https://arxiv.org/abs/1910.10699"

    name: Literal["transfer"] = "transfer"  # type: ignore[assignment]  # another tag of the same parameters


EVALUATIONS: dict[str, type[Evaluation]] = {"knn": NearestNeighbours, "linear_probe": LinearProbe, "transfer": Transfer}
