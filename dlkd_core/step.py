"""One step of the optimiser, in as many parts of the batch as the memory asks for."""

from collections.abc import Generator, Iterator

import torch
from torch import Tensor

from dlkd_core.checkpoint import State
from dlkd_core.collectives import share_gradients
from dlkd_core.distributed import ALONE, World
from dlkd_core.events import Event, Noticed
from dlkd_core.outputs import Targets
from dlkd_core.precision import Forward
from dlkd_core.shares import learnt_in_shares, taught_in_shares
from dlkd_core.snapshot import Snapshot

_FEWEST = 2  # images of a part: batch statistics need two
Terms = dict[str, Tensor]


class Stepper:
    """Forward, backward and update. Where memory runs out the same step is made again in twice as many parts.

    Args:
        state: what is trained.
        student: the forward pass of the state's student.
        teacher: the teacher's.
        parts: of a batch, where the state knows of no others.
        world: the processes among which each part is shared. Memory that runs out in one of them ends the run: the others are
            in the middle of the step, and cannot be told.
    """

    def __init__(self, state: State, student: Forward, teacher: Forward, parts: int, world: World = ALONE) -> None:
        self.state, self.world = state, world
        self.student, self.teacher = learnt_in_shares(student, world), taught_in_shares(teacher, world)
        state.progress.parts = state.progress.parts or parts

    def __call__(self, images: Tensor, targets: Targets) -> Generator[Event, None, Terms]:
        """Makes the step of a batch of views (batch * views, 3, H, W); returns the loss and its terms, scalars."""
        while (terms := self._gradients(images, targets)) is None:
            self.state.progress.parts = 2 * self._parts(targets)
            yield Noticed(
                message=f"The memory ran out: from this step on each batch is computed in {self.state.progress.parts} parts. "
                "Batch statistics and losses that compare images see a part each."
            )
        share_gradients(self.state.student.parameters(), self.state.objective.parameters(), self.world)
        self.state.scaler.step(self.state.optimizer)
        self.state.scaler.update()
        if self.state.average:
            self.state.average.update(self.state.student)
        return terms

    def _gradients(self, images: Tensor, targets: Targets) -> Terms | None:
        """None where the memory ran out and a smaller part may fit: then nothing of the state has changed."""
        self.state.optimizer.zero_grad(set_to_none=True)
        before = Snapshot(self.state.student, self.state.objective)
        try:
            return self._sum(images, targets)
        except torch.OutOfMemoryError:
            before.restore()
            if self.world.size > 1 or 2 * self._parts(targets) > len(targets.labels) // _FEWEST:
                raise
        self.state.optimizer.zero_grad(set_to_none=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return None

    def _sum(self, images: Tensor, targets: Targets) -> Terms:
        """The gradients of all parts, added up, each by its share of the images."""
        total: Terms = {}
        for share, some, theirs in _split(images, targets, self._parts(targets)):
            with torch.no_grad():
                taught = self.teacher(some)
            loss, terms = self.state.objective(self.student(some), taught, theirs)
            self.state.scaler.scale(loss * share).backward()
            for name, value in {"loss": loss.detach(), **terms}.items():
                total[name] = total[name] + value * share if name in total else value * share
        return total

    def _parts(self, targets: Targets) -> int:
        """As many as were asked for, where the batch has images enough for them."""
        return max(1, min(self.state.progress.parts, len(targets.labels) // _FEWEST))


def _split(images: Tensor, targets: Targets, parts: int) -> Iterator[tuple[float, Tensor, Targets]]:
    """The share, views and targets of each part: even ones, no image's views apart."""
    count = len(targets.labels)
    views = len(images) // count
    for places in torch.arange(count).tensor_split(parts):
        first, last = int(places[0]), int(places[-1]) + 1
        part = targets._replace(labels=targets.labels[first:last], rows=targets.rows[first:last])
        yield (last - first) / count, images[first * views : last * views], part
