"""The training loop, which does not depend on specific losses, networks or datasets."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dlkd_core.data.batches import BatchLoader
from dlkd_core.distributed.process_group import SINGLE_PROCESS, Clock, World, get_clock
from dlkd_core.errors import TrainingDiverged
from dlkd_core.events import (
    CHECKPOINT_FILE,
    VAL_PREFIX,
    CheckpointSaved,
    Event,
    MetricsRecorded,
    Notice,
    StepFinished,
)
from dlkd_core.network_outputs import ForwardFn
from dlkd_core.training.checkpoint import TrainingState
from dlkd_core.training.compilation import CompiledForward
from dlkd_core.training.metric_logger import MetricLogger
from dlkd_core.training.precision import FLOAT32, Precision
from dlkd_core.training.schedule import learning_rate_factor
from dlkd_core.training.step import TrainingStep
from dlkd_core.training.stopping import StoppingCriteria
from dlkd_core.training_spec import CompileMode, ResolvedTrainingSpec

TeacherForward = ForwardFn  # the only interface through which the loop sees a teacher
# Returns the metrics of the student on the evaluation split.
EvaluateFn = Callable[[], dict[str, float]]


@dataclass(frozen=True)
class TrainingRun:
    """Everything that the training loop needs."""

    spec: ResolvedTrainingSpec
    batches: BatchLoader
    teacher: TeacherForward | None
    state: TrainingState
    evaluate: EvaluateFn
    directory: Path
    digest: str  # identifies the run in its checkpoints
    precision: Precision = FLOAT32
    world: World = SINGLE_PROCESS  # all processes run the loop, with equal losses and weights
    saves_checkpoints: bool = True
    clock: Clock | None = None  # returns seconds; if None, the leader's clock is used

    @property
    def steps(self) -> int:
        """Number of steps of the whole run."""
        steps = self.spec.epochs * self.batches.steps_per_epoch
        return min(steps, self.spec.max_steps or steps)

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step. Steps are counted from 0."""
        return self.spec.learning_rate * learning_rate_factor(
            self.spec.schedule, step, self.steps, self.batches.steps_per_epoch
        )


def train(run: TrainingRun, start_step: int = 0) -> Iterator[Event]:
    """Train from `start_step` to the end and yield the events.

    Closing the iterator saves a checkpoint of the last finished step.

    Raises:
        TrainingDiverged: A loss or a weight is not finite. The last good checkpoint is kept.
    """
    state, steps_per_epoch = run.state, run.batches.steps_per_epoch
    state.student.train()
    state.objective.train()
    clock = run.clock or get_clock(run.world)
    logger = MetricLogger(steps_per_epoch)
    stopping = StoppingCriteria(run.spec, state.progress, clock)
    compile_mode = run.spec.compile if run.world.size == 1 else CompileMode.NEVER
    student = CompiledForward(state.student, compile_mode, run.steps - start_step, clock)
    make_step = TrainingStep(
        state,
        run.precision.wrap_forward(student),
        run.precision.wrap_forward(run.teacher) if run.teacher else None,
        run.spec.accumulate,
        run.spec.max_grad_norm,
        run.world,
    )
    step = start_step
    try:
        finished_epochs, steps_into_epoch = divmod(start_step, steps_per_epoch)
        if steps_into_epoch == 0 and stopping.needs_evaluation(finished_epochs):
            yield from _finish_epoch(run, start_step, logger, stopping)
        stop_reason = stopping.stop_reason()
        # Images are (batch * views, 3, H, W).
        for images, targets in run.batches.iterate(start_step, run.steps):
            if stop_reason:
                message = f"Training stopped after step {step} of {run.steps}: {stop_reason}."
                yield Notice(message=message)
                break
            for group in state.optimizer.param_groups:
                group["lr"] = run.learning_rate(step)
            values = yield from make_step(images, targets)
            step += 1
            stopping.record_step(step)
            if notice := student.record_step():
                yield Notice(message=notice)
            is_last = step == run.steps or stopping.is_out_of_time
            epoch = (step - 1) // steps_per_epoch + 1
            yield StepFinished(
                epoch=epoch,
                epochs=run.spec.epochs,
                step=step,
                steps=run.steps,
                batch_size=run.batches.batch_size,
            )
            yield from logger.log(step, values, run.learning_rate(step - 1), last=is_last)
            if step % steps_per_epoch == 0 or is_last:
                yield from _finish_epoch(run, step, logger, stopping)
            stop_reason = stopping.stop_reason()
    except GeneratorExit:
        with suppress(TrainingDiverged):  # keep the last good checkpoint
            _save_checkpoint(run, step, logger)
        raise


def _finish_epoch(
    run: TrainingRun, step: int, logger: MetricLogger, stopping: StoppingCriteria
) -> Iterator[Event]:
    """Evaluate the student if an evaluation is due, and save a checkpoint if the run saves any.

    The evaluation comes first, because the checkpoint holds the state of the stopping criteria.
    """
    epoch = -(-step // run.batches.steps_per_epoch)
    metrics = None
    if epoch % run.spec.evaluate_every == 0 or step == run.steps or stopping.is_out_of_time:
        metrics = run.evaluate()
        run.state.student.train()
        stopping.record_evaluation(epoch, metrics)
        stopping.record_step(step)
    path = _save_checkpoint(run, step, logger)
    if run.saves_checkpoints:
        yield CheckpointSaved(path=str(path), step=step)
    if metrics is not None:
        values = {f"{VAL_PREFIX}{name}": value for name, value in metrics.items()}
        yield MetricsRecorded(epoch=epoch, step=step, values=values)


def _save_checkpoint(run: TrainingRun, step: int, logger: MetricLogger) -> Path:
    logger.check_losses()
    logger.check_weights(run.state, step)
    if run.world.is_leader and run.saves_checkpoints:
        run.state.save(run.directory, step=step, digest=run.digest)
    return run.directory / CHECKPOINT_FILE
