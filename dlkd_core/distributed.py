"""Several processes that make one run: who they are, and what they say to each other.

Every process does the same in the same order, each on its share of the images; the leader alone writes files and talks to the
caller. What could differ between them (clocks, the caller's wish to stop) is the leader's to decide.
"""

import os
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from dlkd_core.data.host_images import Images
from dlkd_core.errors import SpecError

_PATIENCE = timedelta(days=1)  # a large archive takes hours to decode; a process that died is noticed at once
Event = TypeVar("Event")
Result = TypeVar("Result")


class Dismissed(Exception):
    """The leader's caller wants no more: this process ends, and nothing is wrong."""


@dataclass(frozen=True)
class World:
    """The processes of a run, this one's rank among them (from 0), and its place on its machine, which chooses the GPU."""

    rank: int = 0
    size: int = 1
    place: int = 0

    @property
    def leads(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def counts(self, total: int) -> list[int]:
        """How many of `total` rows each process has; they differ by one at most."""
        whole, rest = divmod(total, self.size)
        return [whole + (rank < rest) for rank in range(self.size)]

    def share(self, rows: Images) -> Tensor:
        """The rows of this process: a contiguous part, in the order of the ranks."""
        return rows[self.span(len(rows))]

    def span(self, total: int) -> slice:
        """Where the rows of this process stand among `total`."""
        counts = self.counts(total)
        return slice(sum(counts[: self.rank]), sum(counts[: self.rank + 1]))

    def agree(self, value: float) -> float:
        """The leader's value, in all processes."""
        if self.size == 1:
            return value
        told = torch.tensor(value, dtype=torch.float64)
        dist.broadcast(told, src=0)
        return told.item()

    def clock(self) -> float:
        """Seconds of the leader's monotonic clock: all decide alike when the time is used up."""
        return self.agree(time.monotonic())

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """What follows is done by the leader, and then by the others, who find what it has left on disk."""
        if not self.leads:
            self.agree(0)
        try:
            yield
        finally:
            if self.leads:
                self.agree(0)

    def check(self, fingerprint: str) -> None:
        """Compares what the processes are about to do.

        Raises:
            SpecError: they have read different specs, teachers or images.
        """
        if self.size == 1:
            return
        seen: list[object] = [None] * self.size
        dist.all_gather_object(seen, fingerprint)
        if len(set(seen)) > 1:
            raise SpecError(
                "The processes of this run read different inputs.",
                hint="Give every machine the same spec, teacher and data set.",
            )


ALONE = World()


def told() -> World:
    """What torchrun says of this process; alone without it. Nothing is connected yet."""
    if not dist.is_torchelastic_launched():
        return ALONE
    return World(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))


def heard_by_all(listen: Callable[[], bytes | None], world: World) -> bytes | None:
    """What the leader hears, in all processes; None: nothing. Before they are connected: torchrun's own store hands it on."""
    if world.size == 1:
        return listen()
    store, _, _ = next(rendezvous("env://"))
    if world.leads:
        store.set("heard", listen() or b"")
    return bytes(store.get("heard")) or None


@contextmanager
def joined() -> Iterator[World]:
    """Connects the processes that torchrun has started; a process alone connects to nothing.

    Tensors on GPUs travel by NCCL, and by Gloo where several processes share one; those on the CPU always by Gloo.
    """
    world = told()
    if world.size == 1:
        yield ALONE
        return
    own_gpu = torch.cuda.device_count() >= int(os.environ["LOCAL_WORLD_SIZE"])
    dist.init_process_group("cpu:gloo,cuda:nccl" if own_gpu else "gloo", timeout=_PATIENCE)
    try:
        yield world
    finally:
        dist.destroy_process_group()


def together(work: Generator[Event, None, Result], world: World) -> Generator[Event, None, Result]:
    """The leader's events. After each one the others learn whether its caller goes on; they yield none.

    Raises:
        Dismissed: in the others, when the leader was closed. Their work was closed, too.
    """
    if world.size == 1:
        return (yield from work)
    try:
        while True:
            try:
                event = next(work)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # a generator's result has no type of its own
            if world.leads:
                yield from _shown(event, world)
            elif not world.agree(0):
                raise Dismissed
    finally:
        work.close()


def _shown(event: Event, world: World) -> Iterator[Event]:
    wanted = 0
    try:
        yield event
        wanted = 1
    finally:
        world.agree(wanted)


def clock_of(world: World) -> Callable[[], float]:
    """The clock of a run: the leader's where there are several processes."""
    return time.monotonic if world.size == 1 else world.clock
