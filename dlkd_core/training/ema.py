"""Exponential moving average (EMA) of the student's weights."""

from typing import Any, cast

from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dlkd_core.models import FeatureExtractor


class ModelEMA:
    """An exponential moving average of the student's weights.

    After each step: average <- decay * average + (1 - decay) * student. The average starts with the
    weights after the first step. Running statistics of batch norms are averaged in the same way.
    """

    def __init__(self, student: FeatureExtractor, decay: float) -> None:
        average: Any = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]  # torch has no annotation here
        self._averaged = AveragedModel(student, multi_avg_fn=average, use_buffers=True)
        self._averaged.requires_grad_(requires_grad=False).eval()

    @property
    def student(self) -> FeatureExtractor:
        """The averaged network, in evaluation mode."""
        return cast("FeatureExtractor", self._averaged.module)

    def update(self, student: FeatureExtractor) -> None:
        """Update the average with the weights after a finished step."""
        self._averaged.update_parameters(student)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the averaged weights and statistics, and the number of averaged steps."""
        state: dict[str, Tensor] = self._averaged.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self._averaged.load_state_dict(state)
