"""The processes that share one run.

All processes do the same in the same order, each on its shard of the images. Only the leader writes
files and talks to the caller. Whatever could differ between processes, such as clocks or a request
to stop, is decided by the leader.
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

# Decoding a large archive takes hours. A process that died is noticed immediately.
_TIMEOUT = timedelta(days=1)
_MESSAGE_KEY = "message"
Clock = Callable[[], float]  # returns seconds
Event = TypeVar("Event")
Result = TypeVar("Result")


class LeaderStopped(Exception):
    """Ends a process whose leader was closed by its caller. This is not an error."""


@dataclass(frozen=True)
class World:
    """The processes of a run and the position of this one.

    Args:
        rank: Index of this process in the run, from 0.
        size: Number of processes.
        local_rank: Index of this process on its machine, which selects the GPU.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_leader(self) -> bool:
        """Whether this process writes files and yields events."""
        return self.rank == 0

    def shard_sizes(self, total: int) -> list[int]:
        """Return how many of `total` rows each process has; the counts differ by at most one."""
        whole, rest = divmod(total, self.size)
        return [whole + (rank < rest) for rank in range(self.size)]

    def shard(self, rows: Images) -> Tensor:
        """Return the rows of this process: a contiguous part, in the order of the ranks."""
        return rows[self.shard_slice(len(rows))]

    def shard_slice(self, total: int) -> slice:
        """Return the slice of this process in `total` rows."""
        sizes = self.shard_sizes(total)
        return slice(sum(sizes[: self.rank]), sum(sizes[: self.rank + 1]))

    def broadcast(self, value: float) -> float:
        """Return the leader's value in all processes."""
        if self.size == 1:
            return value
        shared = torch.tensor(value, dtype=torch.float64)
        dist.broadcast(shared, src=0)
        return shared.item()

    def clock(self) -> float:
        """Return the seconds of the leader's monotonic clock, so that all processes stop alike."""
        return self.broadcast(time.monotonic())

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """Run the block in the leader first, so that the others find the files that it left."""
        if not self.is_leader:
            self.broadcast(0)
        try:
            yield
        finally:
            if self.is_leader:
                self.broadcast(0)

    def check_same_inputs(self, fingerprint: str) -> None:
        """Check that all processes have the same inputs.

        Raises:
            SpecError: The processes read different specs, teachers or images.
        """
        if self.size == 1:
            return
        fingerprints: list[object] = [None] * self.size
        dist.all_gather_object(fingerprints, fingerprint)
        if len(set(fingerprints)) > 1:
            raise SpecError(
                "The processes of this run read different inputs.",
                hint="Use the same spec, teacher and dataset on every machine.",
            )


SINGLE_PROCESS = World()


def read_world() -> World:
    """Read the position of this process from torchrun's environment, without connecting.

    Without torchrun, this is the only process.
    """
    if not dist.is_torchelastic_launched():
        return SINGLE_PROCESS
    return World(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))


def broadcast_message(receive: Callable[[], bytes | None], world: World) -> bytes | None:
    """Return the message that the leader receives in all processes, or None if there is none.

    This works before the processes join a process group, because it uses torchrun's own store.
    """
    if world.size == 1:
        return receive()
    store, _, _ = next(rendezvous("env://"))
    if world.is_leader:
        store.set(_MESSAGE_KEY, receive() or b"")
    return bytes(store.get(_MESSAGE_KEY)) or None


@contextmanager
def join_process_group() -> Iterator[World]:
    """Connect the processes that torchrun started. Does nothing for a single process.

    Tensors on the CPU are sent by Gloo. Tensors on GPUs are sent by NCCL, or by Gloo if several
    processes share a GPU.
    """
    world = read_world()
    if world.size == 1:
        yield SINGLE_PROCESS
        return
    has_own_gpu = torch.cuda.device_count() >= int(os.environ["LOCAL_WORLD_SIZE"])
    dist.init_process_group("cpu:gloo,cuda:nccl" if has_own_gpu else "gloo", timeout=_TIMEOUT)
    try:
        yield world
    finally:
        dist.destroy_process_group()


def run_in_lockstep(
    events: Generator[Event, None, Result], world: World
) -> Generator[Event, None, Result]:
    """Yield the events in the leader; the other processes run the same generator in step with it.

    After each event, the leader tells the others whether its caller continues. The others yield
    nothing.

    Raises:
        LeaderStopped: In the other processes, when the leader was closed. Their generator is
            closed, too.
    """
    if world.size == 1:
        return (yield from events)
    try:
        while True:
            try:
                event = next(events)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # StopIteration.value is untyped
            if world.is_leader:
                yield from _yield_from_leader(event, world)
            elif not world.broadcast(0):
                raise LeaderStopped
    finally:
        events.close()


def _yield_from_leader(event: Event, world: World) -> Iterator[Event]:
    continues = 0
    try:
        yield event
        continues = 1
    finally:
        world.broadcast(continues)


def get_clock(world: World) -> Clock:
    """Return the clock of a run: the leader's if there are several processes."""
    return time.monotonic if world.size == 1 else world.clock
