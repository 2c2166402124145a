"""The loop. It knows no name of a loss, a network or a data set."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dlkd_core.budget import Budget, Clock
from dlkd_core.checkpoint import FILE, State
from dlkd_core.compiling import Compiling
from dlkd_core.data.batches import Batches
from dlkd_core.distributed import ALONE, World, clock_of
from dlkd_core.errors import TrainingDiverged
from dlkd_core.events import CheckpointSaved, Event, Measured, Noticed, StepDone
from dlkd_core.precision import FLOAT32, Forward, Precision
from dlkd_core.schedule import rate_at
from dlkd_core.series import Series
from dlkd_core.step import Stepper
from dlkd_core.training_spec import TrainingSpec

Teacher = Forward  # the one seam through which a teacher's outputs come
Scorer = Callable[[], dict[str, float]]


@dataclass(frozen=True)
class Run:
    """What the loop works on."""

    spec: TrainingSpec
    batches: Batches
    teacher: Teacher
    state: State
    score: Scorer  # the state's result on the evaluation split
    directory: Path
    digest: str
    precision: Precision = FLOAT32
    world: World = ALONE  # the processes that make this run; all go through the loop, and their losses and weights are the same
    clock: Clock | None = None  # seconds; left out: the leader's

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
        TrainingDiverged: a loss or weights that are no finite numbers; the checkpoint is the last good one.
    """
    state, per_epoch = run.state, run.batches.per_epoch
    state.student.train()
    state.objective.train()
    clock = run.clock or clock_of(run.world)
    series, budget = Series(per_epoch), Budget(run.spec, state.progress, clock)
    student = Compiling(state.student, run.spec.compile if run.world.size == 1 else "never", run.steps - start, clock)
    make_step, step = _stepper(run, student), start
    try:
        if start % per_epoch == 0 and budget.owes(start // per_epoch):
            yield from _end_of_epoch(run, start, series, budget)
        verdict = budget.verdict()
        for images, targets in run.batches.from_step(start, run.steps):  # (batch * views, 3, H, W), (batch,)
            if verdict:
                yield Noticed(message=f"Training ends after step {step} of {run.steps}: {verdict}.")
                break
            for group in state.optimizer.param_groups:
                group["lr"] = run.rate(step)
            terms = yield from make_step(images, targets)
            step += 1
            budget.tick(step)
            if told := student.tick():
                yield Noticed(message=told)
            last = step == run.steps or budget.spent
            yield StepDone(epoch=(step - 1) // per_epoch + 1, epochs=run.spec.epochs, step=step, steps=run.steps)
            yield from series.add(step, terms, run.rate(step - 1), last=last)
            if step % per_epoch == 0 or last:
                yield from _end_of_epoch(run, step, series, budget)
            verdict = budget.verdict()
    except GeneratorExit:
        with suppress(TrainingDiverged):  # the last good checkpoint stays
            _save(run, step, series)
        raise


def _stepper(run: Run, student: Forward) -> Stepper:
    return Stepper(run.state, run.precision.wrap(student), run.precision.wrap(run.teacher), run.spec.accumulate, run.world)


def _end_of_epoch(run: Run, step: int, series: Series, budget: Budget) -> Iterator[Event]:
    """The evaluation comes before the checkpoint, which holds what it means for the end of the run."""
    epoch = -(-step // run.batches.per_epoch)
    values = None
    if epoch % run.spec.evaluate_every == 0 or step == run.steps or budget.spent:
        values = run.score()
        run.state.student.train()
        budget.judge(epoch, values)
        budget.tick(step)
    yield CheckpointSaved(path=str(_save(run, step, series)), step=step)
    if values is not None:
        yield Measured(epoch=epoch, step=step, values={f"val/{name}": value for name, value in values.items()})


def _save(run: Run, step: int, series: Series) -> Path:
    series.check()
    series.check_weights(run.state, step)
    if run.world.leads:
        run.state.save(run.directory, step=step, digest=run.digest)
    return run.directory / FILE
