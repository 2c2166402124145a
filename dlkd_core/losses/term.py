"""What a loss term is: a module that owns its heads and sees both networks' outputs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from dlkd_core.outputs import Outputs, Shapes, Targets


@dataclass(frozen=True)
class Setting:
    """What a term may know of the run when it is built."""

    student: Shapes
    teacher: Shapes | None
    classes: int
    views: int  # views of an image, adjacent in the batch, the first the plainest
    images: int  # images of the training split
    labels: Tensor | None = None  # theirs, (images,)
    classify: Callable[[Tensor], Tensor] | None = None  # the teacher's own classifier: pooled features (N, t) to logits

    def taught(self) -> Shapes:
        """The teacher's shapes; a ValueError for a term that needs a teacher in a run without one."""
        if self.teacher is None:
            raise ValueError("this term compares with a teacher, and the run has none")
        return self.teacher


class TermModule(nn.Module):
    """A loss term. Subclasses take (params, setting); trainable heads are their own parameters."""

    def __init__(self, params: Any, setting: Setting) -> None:
        super().__init__()
        self.params = params
        self.setting = setting

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:
        """The loss, a scalar. Outputs hold batch * views rows, targets (batch,) are per image; the teacher has no gradient."""
        raise NotImplementedError(type(self).__name__)
