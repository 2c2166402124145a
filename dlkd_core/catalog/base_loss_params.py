"""Base class of the parameters of loss terms."""

from typing import Annotated, ClassVar

from pydantic import Field

from dlkd_core.common import FrozenModel

Weight = Annotated[float, Field(ge=0, le=1e6)]


class LossParams(FrozenModel):
    """Parameters of a loss term.

    `target` names the class that implements the term (``module:Class``). Only the training process
    imports it.
    """

    target: ClassVar[str]
    needs_labels: ClassVar[bool] = False
    needs_logits: ClassVar[bool] = False  # the teacher's logits
    trains_classifier: ClassVar[bool] = False  # the student's classifier
    needs_feature_maps: ClassVar[bool] = False

    name: str
    weight: Weight = 1.0
    warmup_epochs: int = Field(
        0, ge=0, description="Epochs over which the weight grows linearly to its full value"
    )

    @property
    def min_classes(self) -> int:
        """Smallest number of classes for which the term is meaningful."""
        return 1
