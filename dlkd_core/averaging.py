"""The student's weights, averaged over the steps."""

from typing import Any, cast

from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dlkd_core.models import Tapped


class Average:
    """After each step average <- decay * average + (1 - decay) * student; the first step is taken as it is.

    The running statistics of the batch norms are averaged with the weights they belong to.
    """

    def __init__(self, student: Tapped, decay: float) -> None:
        mixing: Any = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]  # torch's own
        self._held = AveragedModel(student, multi_avg_fn=mixing, use_buffers=True)
        self._held.requires_grad_(requires_grad=False).eval()

    @property
    def student(self) -> Tapped:
        """The averaged network, in evaluation."""
        return cast("Tapped", self._held.module)

    def update(self, student: Tapped) -> None:
        """Takes in the weights of a finished step."""
        self._held.update_parameters(student)

    def state_dict(self) -> dict[str, Tensor]:
        """Weights, statistics and the number of steps taken in."""
        held: dict[str, Tensor] = self._held.state_dict()
        return held

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Puts them back."""
        self._held.load_state_dict(state)
