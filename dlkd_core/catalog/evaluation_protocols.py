"""Protocols for evaluating the features of the finished student and its teacher."""

from typing import ClassVar, Literal

from pydantic import Field

from dlkd_core.common import FrozenModel


class EvaluationProtocol(FrozenModel):
    """Parameters of an evaluation protocol.

    `target` names the function that runs it (``module:function``). It is imported only when needed.
    """

    target: ClassVar[str]
    source: ClassVar[str] = ""

    name: str


class KNNClassification(EvaluationProtocol):
    """Classify val images by a weighted vote of their nearest training images in feature space."""

    target = "dlkd_core.evaluation.knn:run"
    source = "https://arxiv.org/abs/1805.01978"

    name: Literal["knn"] = "knn"
    k: int = Field(20, ge=1, le=10_000, description="Number of neighbors that vote")
    temperature: float = Field(
        0.07, gt=0, le=100, description="Temperature of the votes: exp(cosine / temperature)"
    )


class LinearProbe(EvaluationProtocol):
    """Train a linear classifier on frozen features and report its accuracy on the val images."""

    target = "dlkd_core.evaluation.linear_probe:run"
    source = "https://arxiv.org/abs/1610.01644"

    name: Literal["linear_probe"] = "linear_probe"
    penalty: float = Field(
        1.0,
        gt=0,
        le=1e6,
        description="Strength of the L2 penalty: this value times half the sum of the squared"
        " weights is added to the loss, which is summed over the images",
    )


class Transfer(LinearProbe):
    """Train and evaluate the linear probe on another dataset (`dataset`)."""

    source = "https://arxiv.org/abs/1910.10699"

    name: Literal["transfer"] = "transfer"  # type: ignore[assignment]  # a subclass narrows its tag


EVALUATIONS: dict[str, type[EvaluationProtocol]] = {
    "knn": KNNClassification,
    "linear_probe": LinearProbe,
    "transfer": Transfer,
}
