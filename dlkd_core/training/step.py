"""One optimizer step, computed in as many micro-batches as the memory requires."""

from collections.abc import Generator, Iterator

import torch
from torch import Tensor, nn

from dlkd_core.distributed.collectives import reduce_gradients
from dlkd_core.distributed.data_parallel import parallelize_student, parallelize_teacher
from dlkd_core.distributed.process_group import SINGLE_PROCESS, World
from dlkd_core.events import Event, Notice
from dlkd_core.network_outputs import ForwardFn, Targets
from dlkd_core.training.checkpoint import TrainingState
from dlkd_core.training.step_snapshot import StepSnapshot

_MIN_MICRO_BATCH = 2  # minimum number of images, because batch statistics need two
LossValues = dict[str, Tensor]  # scalar loss and loss terms by name


class TrainingStep:
    """A training step: forward pass, backward pass and weight update.

    If memory runs out, the same step is repeated with twice as many micro-batches.

    Args:
        state: The training state to update.
        student: Forward pass of the state's student.
        teacher: Forward pass of the teacher, or None for a run without a teacher.
        micro_batches: Number of micro-batches per batch. Ignored if the state already holds such a
            number, for example from a checkpoint.
        max_grad_norm: Maximum L2 norm of the gradient of all parameters. A larger gradient is
            scaled down to it. 0 means that gradients are not clipped.
        world: Processes that share each micro-batch. If one of them runs out of memory, the run
            ends, because the others are in the middle of the step and cannot be notified.
    """

    def __init__(
        self,
        state: TrainingState,
        student: ForwardFn,
        teacher: ForwardFn | None,
        micro_batches: int,
        max_grad_norm: float = 0.0,
        world: World = SINGLE_PROCESS,
    ) -> None:
        self.state, self.max_grad_norm, self.world = state, max_grad_norm, world
        self.student = parallelize_student(student, world)
        self.teacher = parallelize_teacher(teacher, world) if teacher else None
        state.progress.micro_batches = state.progress.micro_batches or micro_batches

    def __call__(self, images: Tensor, targets: Targets) -> Generator[Event, None, LossValues]:
        """Train on views (batch * views, 3, H, W) and return the loss and its terms."""
        while (values := self._try_backward(images, targets)) is None:
            micro_batches = 2 * self._micro_batch_count(targets)
            self.state.progress.micro_batches = micro_batches
            yield Notice(
                message=f"Out of memory: from this step on, each batch is computed in"
                f" {micro_batches} micro-batches. Batch statistics and losses that compare images"
                " see one micro-batch at a time."
            )
        reduce_gradients(
            self.state.student.parameters(), self.state.objective.parameters(), self.world
        )
        if self.max_grad_norm:
            self._clip_gradients()
        self.state.scaler.step(self.state.optimizer)
        self.state.scaler.update()
        if self.state.ema:
            self.state.ema.update(self.state.student)
        return values

    def _try_backward(self, images: Tensor, targets: Targets) -> LossValues | None:
        """Compute the gradients, or return None if memory runs out and the step can be repeated.

        In that case the state is unchanged.
        """
        self.state.optimizer.zero_grad(set_to_none=True)
        snapshot = StepSnapshot(self.state.student, self.state.objective)
        try:
            return self._accumulate_gradients(images, targets)
        except torch.OutOfMemoryError:
            snapshot.restore()
            max_micro_batches = len(targets.labels) // _MIN_MICRO_BATCH
            if self.world.size > 1 or 2 * self._micro_batch_count(targets) > max_micro_batches:
                raise
        self.state.optimizer.zero_grad(set_to_none=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return None

    def _accumulate_gradients(self, images: Tensor, targets: Targets) -> LossValues:
        """Sum the gradients of all micro-batches, weighted by their fraction of the images."""
        total: LossValues = {}
        micro_batches = _split_batch(images, targets, self._micro_batch_count(targets))
        for fraction, part_images, part_targets in micro_batches:
            teacher_outputs = None
            if self.teacher:
                with torch.no_grad():
                    teacher_outputs = self.teacher(part_images)
            student_outputs = self.student(part_images)
            loss, terms = self.state.objective(student_outputs, teacher_outputs, part_targets)
            self.state.scaler.scale(loss * fraction).backward()
            for name, value in {"loss": loss.detach(), **terms}.items():
                weighted = value * fraction
                total[name] = total[name] + weighted if name in total else weighted
        return total

    def _clip_gradients(self) -> None:
        self.state.scaler.unscale_(self.state.optimizer)
        parameters = [*self.state.student.parameters(), *self.state.objective.parameters()]
        nn.utils.clip_grad_norm_(parameters, self.max_grad_norm)

    def _micro_batch_count(self, targets: Targets) -> int:
        max_micro_batches = len(targets.labels) // _MIN_MICRO_BATCH
        return max(1, min(self.state.progress.micro_batches, max_micro_batches))


def _split_batch(
    images: Tensor, targets: Targets, micro_batches: int
) -> Iterator[tuple[float, Tensor, Targets]]:
    """Yield (fraction of the batch, views, targets) for each micro-batch.

    The micro-batches have nearly equal sizes, and the views of an image stay together.
    """
    count = len(targets.labels)
    views = len(images) // count
    for rows in torch.arange(count).tensor_split(micro_batches):
        start, stop = int(rows[0]), int(rows[-1]) + 1
        yield (
            (stop - start) / count,
            images[start * views : stop * views],
            targets.slice(start, stop),
        )
