"""The processes that share one run.

All processes run the same operations in the same order, each on its shard of the images. Only the
leader writes files and communicates with the caller. Anything that could differ between processes,
such as the time or a request to stop, is also taken from the leader.
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

# Decoding a large archive can take hours. A dead process is noticed immediately in any case.
_TIMEOUT = timedelta(days=1)
_MESSAGE_KEY = "message"
Clock = Callable[[], float]  # returns the time in seconds
Event = TypeVar("Event")
Result = TypeVar("Result")


class LeaderStopped(Exception):
    """Raised in the other processes when the leader's caller stops the run. Not an error."""


@dataclass(frozen=True)
class World:
    """The number of processes in a run, and the position of this process among them.

    Args:
        rank: Index of this process in the run, from 0.
        size: Number of processes.
        local_rank: Index of this process on its machine. It determines which GPU the process uses.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_leader(self) -> bool:
        """Whether this process writes files and yields events."""
        return self.rank == 0

    def shard_sizes(self, total: int) -> list[int]:
        """Return the number of rows for each process. The numbers differ by at most one."""
        whole, rest = divmod(total, self.size)
        return [whole + (rank < rest) for rank in range(self.size)]

    def shard(self, rows: Images) -> Tensor:
        """Return the rows of this process. They are contiguous and in the order of the ranks."""
        return rows[self.shard_slice(len(rows))]

    def shard_slice(self, total: int) -> slice:
        """Return the slice of `total` rows that belongs to this process."""
        sizes = self.shard_sizes(total)
        return slice(sum(sizes[: self.rank]), sum(sizes[: self.rank + 1]))

    def broadcast(self, value: float) -> float:
        """Send the leader's value to all processes and return it."""
        if self.size == 1:
            return value
        shared = torch.tensor(value, dtype=torch.float64)
        dist.broadcast(shared, src=0)
        return shared.item()

    def clock(self) -> float:
        """Return the leader's monotonic time in seconds, so that all processes stop together."""
        return self.broadcast(time.monotonic())

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """Run the `with` block in the leader first, so that the others find the files it wrote."""
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
    """Read the rank and world size from torchrun's environment variables, without connecting.

    Return `SINGLE_PROCESS` if torchrun did not start this process.
    """
    if not dist.is_torchelastic_launched():
        return SINGLE_PROCESS
    return World(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))


def broadcast_message(receive: Callable[[], bytes | None], world: World) -> bytes | None:
    """Receive a message in the leader and return it in all processes.

    Returns None in all processes if there is no message.

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
    """Connect the processes that torchrun started, and yield the `World`.

    A single process needs no connection. CPU tensors are sent with Gloo, and GPU tensors with
    NCCL, or with Gloo if several processes share a GPU.
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
    """Run the same generator in all processes in lockstep, and yield its events in the leader.

    After each event, the leader tells the other processes whether its caller wants to continue. The
    other processes yield nothing.

    Raises:
        LeaderStopped: In the other processes, when the caller closes the leader's generator.
            Their own generators are closed, too.
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
    """Return the leader's clock if there are several processes, and the local clock otherwise."""
    return time.monotonic if world.size == 1 else world.clock
