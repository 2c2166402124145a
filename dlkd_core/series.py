"""The metric series of the training losses, and the watch over what is no finite number."""

from collections.abc import Iterator

import torch
from torch import Tensor

from dlkd_core.checkpoint import State
from dlkd_core.errors import TrainingDiverged
from dlkd_core.events import Measured

_POINTS_PER_EPOCH = 10


class Series:
    """The mean of each loss term between two points; read back from the device only at a point or before a checkpoint."""

    def __init__(self, per_epoch: int) -> None:
        self.per_epoch = per_epoch
        self.every = max(1, per_epoch // _POINTS_PER_EPOCH)
        self.seen: list[tuple[int, dict[str, Tensor]]] = []

    def add(self, step: int, values: dict[str, Tensor], rate: float, *, last: bool) -> Iterator[Measured]:
        """Takes in the terms of the step that was finished; a point where one is due.

        Raises:
            TrainingDiverged: at a point, where a term since the last one is no finite number.
        """
        self.seen.append((step, values))
        if step % self.every and not last:
            return
        self.check()
        means = {f"train/{name}": torch.stack([one[name] for _, one in self.seen]).mean().item() for name in values}
        self.seen.clear()
        yield Measured(epoch=self._epoch(step), step=step, values={**means, "learning_rate": rate})

    def check(self) -> None:
        """Names the first step since the last point with a term that is no finite number, and the terms.

        Raises:
            TrainingDiverged: there is one.
        """
        if not self.seen:
            return
        names = list(self.seen[0][1])
        table = torch.stack([torch.stack([values[name].float() for name in names]) for _, values in self.seen])
        for (step, _), row in zip(self.seen, table.tolist(), strict=True):
            broken = [f"train/{name} is {value}" for name, value in zip(names, row, strict=True) if not abs(value) < float("inf")]
            if broken:
                where = f"in epoch {self._epoch(step)}, at step {step}"
                raise TrainingDiverged(f"The loss stopped being a finite number {where}: {', '.join(broken)}.")

    def check_weights(self, state: State, step: int) -> None:
        """Looks at the weights themselves: a loss may be finite and its gradient not.

        Raises:
            TrainingDiverged: one is no finite number.
        """
        held = {**state.student.state_dict(), **dict(state.objective.named_parameters())}
        sound = torch.stack([tensor.isfinite().all() for tensor in held.values()])
        if not sound.all():
            first = next(name for name, fine in zip(held, sound.tolist(), strict=True) if not fine)
            where = f"in epoch {self._epoch(step)}, by step {step}"
            raise TrainingDiverged(f"The weights stopped being finite numbers {where}: {first} is broken.")

    def _epoch(self, step: int) -> int:
        return (step - 1) // self.per_epoch + 1
