"""Logging of training losses, and checks that losses and weights are finite."""

from collections.abc import Iterator

import torch
from torch import Tensor

from dlkd_core.errors import TrainingDiverged
from dlkd_core.events import TRAIN_PREFIX, MetricsRecorded
from dlkd_core.training.checkpoint import TrainingState

_POINTS_PER_EPOCH = 10


class MetricLogger:
    """Records the mean of each loss term over the steps since the last recorded point.

    Values are read from the device only when a point is recorded or a checkpoint is saved.
    """

    def __init__(self, steps_per_epoch: int) -> None:
        self.steps_per_epoch = steps_per_epoch
        self.log_interval = max(1, steps_per_epoch // _POINTS_PER_EPOCH)
        self.pending: list[tuple[int, dict[str, Tensor]]] = []  # steps with their loss values

    def log(
        self, step: int, values: dict[str, Tensor], learning_rate: float, *, last: bool
    ) -> Iterator[MetricsRecorded]:
        """Add the loss values of a finished step, and yield their means if a point is due.

        Raises:
            TrainingDiverged: A value added since the last recorded point is not finite.
        """
        self.pending.append((step, values))
        if step % self.log_interval and not last:
            return
        self.check_losses()
        means = {
            f"{TRAIN_PREFIX}{name}": torch.stack([losses[name] for _, losses in self.pending])
            .mean()
            .item()
            for name in values
        }
        self.pending.clear()
        yield MetricsRecorded(
            epoch=self._epoch_of(step), step=step, values={**means, "learning_rate": learning_rate}
        )

    def check_losses(self) -> None:
        """Check that all loss values added since the last recorded point are finite.

        Raises:
            TrainingDiverged: A value is not finite. The message lists all such values of the first
                affected step.
        """
        if not self.pending:
            return
        names = list(self.pending[0][1])
        table = torch.stack(  # (steps, names)
            [torch.stack([values[name].float() for name in names]) for _, values in self.pending]
        )
        for (step, _), row in zip(self.pending, table.tolist(), strict=True):
            not_finite = [
                f"{TRAIN_PREFIX}{name} is {value}"
                for name, value in zip(names, row, strict=True)
                if not abs(value) < float("inf")
            ]
            if not_finite:
                raise TrainingDiverged(
                    f"The loss became NaN or infinite in epoch {self._epoch_of(step)}, step {step}:"
                    f" {', '.join(not_finite)}."
                )

    def check_weights(self, state: TrainingState, step: int) -> None:
        """Check that all weights are finite.

        Checking the losses is not enough, because the gradient of a finite loss can contain NaN or
        infinity.

        Raises:
            TrainingDiverged: A weight is not finite.
        """
        tensors = {**state.student.state_dict(), **dict(state.objective.named_parameters())}
        finite = torch.stack([tensor.isfinite().all() for tensor in tensors.values()])
        if not finite.all():
            first = next(
                name
                for name, is_finite in zip(tensors, finite.tolist(), strict=True)
                if not is_finite
            )
            raise TrainingDiverged(
                f"The weights are not finite after epoch {self._epoch_of(step)}, step {step}:"
                f" {first} contains NaN or infinity."
            )

    def _epoch_of(self, step: int) -> int:
        return (step - 1) // self.steps_per_epoch + 1
