"""The loop. It knows no name of a loss, a network or a data set."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dlkd_core.checkpoint import State
from dlkd_core.data.batches import Batches
from dlkd_core.errors import TrainingDiverged
from dlkd_core.events import CheckpointSaved, Event, Measured, StepDone
from dlkd_core.outputs import Outputs
from dlkd_core.schedule import rate_at
from dlkd_core.spec import TrainingSpec

Teacher = Callable[[Tensor], Outputs]  # the one seam through which a teacher's outputs come
Scorer = Callable[[], dict[str, float]]
_POINTS_PER_EPOCH = 10


@dataclass(frozen=True)
class Run:
    """What the loop works on."""

    spec: TrainingSpec
    batches: Batches
    teacher: Teacher
    state: State
    score: Scorer  # the student on the evaluation split
    directory: Path
    digest: str

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        whole = self.spec.epochs * self.batches.per_epoch
        return min(whole, self.spec.max_steps or whole)

    def rate(self, step: int) -> float:
        """The learning rate of a step (from 0)."""
        return self.spec.learning_rate * rate_at(self.spec.schedule, step, self.steps, self.batches.per_epoch)


def train(run: Run, start: int = 0) -> Iterator[Event]:
    """Trains from step `start` to the end. Closing the iterator leaves a checkpoint of the last finished step.

    Raises:
        TrainingDiverged: a loss that is no finite number.
    """
    student, objective, optimizer = run.state.student, run.state.objective, run.state.optimizer
    student.train()
    objective.train()
    series = _Series(run)
    step = start
    try:
        for images, targets in run.batches.from_step(start, run.steps):  # (batch * views, 3, H, W), (batch,)
            for group in optimizer.param_groups:
                group["lr"] = run.rate(step)
            with torch.no_grad():
                teacher_out = run.teacher(images)
            loss, terms = objective(student(images), teacher_out, targets)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            step += 1
            yield StepDone(epoch=(step - 1) // run.batches.per_epoch + 1, epochs=run.spec.epochs, step=step, steps=run.steps)
            yield from series.add(step, {"loss": loss.detach(), **terms})
            if step % run.batches.per_epoch == 0 or step == run.steps:
                yield from _end_of_epoch(run, step)
    except GeneratorExit:
        run.state.save(run.directory, step=step, digest=run.digest)
        raise


def _end_of_epoch(run: Run, step: int) -> Iterator[Event]:
    path = run.state.save(run.directory, step=step, digest=run.digest)
    yield CheckpointSaved(path=str(path), step=step)
    epoch = -(-step // run.batches.per_epoch)
    if epoch % run.spec.evaluate_every == 0 or step == run.steps:
        values = {f"val/{name}": value for name, value in run.score().items()}
        run.state.student.train()
        yield Measured(epoch=epoch, step=step, values=values)


class _Series:
    """The mean of each loss term between two points of the metric series; read back from the device only at a point."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.every = max(1, run.batches.per_epoch // _POINTS_PER_EPOCH)
        self.seen: list[dict[str, Tensor]] = []

    def add(self, step: int, values: dict[str, Tensor]) -> Iterator[Event]:
        self.seen.append(values)
        if step % self.every and step != self.run.steps:
            return
        means = {f"train/{name}": torch.stack([one[name] for one in self.seen]).mean().item() for name in values}
        self.seen.clear()
        epoch = (step - 1) // self.run.batches.per_epoch + 1
        if not all(abs(value) < float("inf") for value in means.values()):  # false for NaN too
            raise TrainingDiverged(f"The loss stopped being a finite number in epoch {epoch}, by step {step}: {means}.")
        yield Measured(epoch=epoch, step=step, values={**means, "learning_rate": self.run.rate(step - 1)})
