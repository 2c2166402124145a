"""Training of several students side by side, on one stream of views and one teacher pass."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from time import process_time
from typing import TypeVar

import torch
from torch import Tensor

from dlkd_core.events import Event
from dlkd_core.network_outputs import Outputs, Targets
from dlkd_core.training.loop import TrainingRun
from dlkd_core.training.step import TrainingStep

Result = TypeVar("Result")
_CHECK_INTERVAL = 20  # steps between the checks that losses are finite


@dataclass
class StudentResult:
    """Result of one of the students.

    Attributes:
        metrics: Metrics on the evaluation split after the last step. Empty if the training
            diverged.
        diverged_at: Step at which the loss was found not to be finite, or None.
        cpu_seconds: CPU time of the student's own steps, without the teacher's forward passes.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    diverged_at: int | None = None
    cpu_seconds: float = 0.0


@dataclass
class SideBySideResult:
    """Results of all students, in the order of their runs.

    Attributes:
        students: One result per run.
        teacher_cpu_seconds: CPU time of the teacher's forward passes, which all students share.
    """

    students: list[StudentResult]
    teacher_cpu_seconds: float = 0.0


def train_side_by_side(runs: Sequence[TrainingRun]) -> Iterator[SideBySideResult]:
    """Train several students, and yield the results so far after each epoch.

    The runs must have the same images, seed, batch size, number of steps, views and teacher. Each
    batch is then augmented only once, and the teacher runs on it only once. Each student ends with
    the same weights as if it had been trained alone. A student whose loss is not finite is not
    trained further. Nothing is saved, so an interrupted training starts from the beginning.

    Raises:
        ValueError: The runs differ in their batches or their number of steps.
    """
    first = runs[0]
    if len({_batch_settings(run) for run in runs}) > 1:
        raise ValueError("The runs differ in their batches or their number of steps.")
    teacher = _SharedTeacher(runs)
    students = [_Student(run, teacher) for run in runs]
    for step, (images, targets) in enumerate(first.batches.iterate(0, first.steps)):
        teacher.run(images)
        for student in students:
            student.train_on(step, images, targets)
        is_last = step + 1 == first.steps
        if is_last:
            for student in students:
                student.evaluate()
        if is_last or (step + 1) % first.batches.steps_per_epoch == 0:
            yield SideBySideResult([student.result for student in students], teacher.cpu_seconds)


class _SharedTeacher:
    """Runs the teacher once per batch and hands its outputs to every student."""

    def __init__(self, runs: Sequence[TrainingRun]) -> None:
        forward = next((run.teacher for run in runs if run.teacher), None)
        self.forward = runs[0].precision.wrap_forward(forward) if forward else None
        self.outputs: Outputs | None = None
        self.cpu_seconds = 0.0

    def run(self, images: Tensor) -> None:
        if self.forward is None:
            return
        start = process_time()
        with torch.no_grad():
            self.outputs = self.forward(images)
        self.cpu_seconds += process_time() - start

    def __call__(self, _images: Tensor) -> Outputs:
        if self.outputs is None:
            raise RuntimeError("The teacher has not run on this batch.")
        return self.outputs


class _Student:
    """A student in training, with its result so far."""

    def __init__(self, run: TrainingRun, teacher: _SharedTeacher) -> None:
        self.run, self.result = run, StudentResult()
        self.make_step = TrainingStep(
            run.state,
            run.precision.wrap_forward(run.state.student),
            teacher if run.teacher else None,
            micro_batches=1,
            max_grad_norm=run.spec.max_grad_norm,
        )
        run.state.student.train()
        run.state.objective.train()

    def train_on(self, step: int, images: Tensor, targets: Targets) -> None:
        if self.result.diverged_at is not None:
            return
        start = process_time()
        for group in self.run.state.optimizer.param_groups:
            group["lr"] = self.run.learning_rate(step)
        loss = finish(self.make_step(images, targets))["loss"]
        self.result.cpu_seconds += process_time() - start
        if step % _CHECK_INTERVAL == 0 and not torch.isfinite(loss):
            self.result.diverged_at = step

    def evaluate(self) -> None:
        if self.result.diverged_at is None:
            self.result.metrics = self.run.evaluate()


def _batch_settings(run: TrainingRun) -> tuple[object, ...]:
    batches = run.batches
    return batches.seed, batches.batch_size, batches.augmentation, len(batches.split), run.steps


def finish(events: Generator[Event, None, Result]) -> Result:
    """Run a generator of events to its end and return its result. The events are dropped."""
    while True:
        try:
            next(events)
        except StopIteration as finished:
            result: Result = finished.value
            return result
