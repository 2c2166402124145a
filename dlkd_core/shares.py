"""A forward pass over a share of the images, its outputs those of all processes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import overload

import torch
from torch import Tensor

from dlkd_core.batch_statistics import SharedStatistics
from dlkd_core.collectives import gathered
from dlkd_core.distributed import World
from dlkd_core.outputs import Outputs
from dlkd_core.precision import Forward

_SEEDS = 2**62


def taught_in_shares(teacher: Forward, world: World) -> Forward:
    """The teacher's outputs of all images (N, 3, H, W), of which this process runs its share; frozen, so images do not meet."""

    def forward(images: Tensor) -> Outputs:
        own = world.share(images)
        outputs = teacher(own) if len(own) else _empty(teacher(images[:1]))
        return _of_all(outputs, len(images), world)

    return teacher if world.size == 1 else forward


def learnt_in_shares(student: Forward, world: World) -> Forward:
    """The student's outputs of all images, with gradient to this process's share; batch statistics are those of all images.

    What it draws at random (dropout, stochastic depth) is drawn anew in each process, so with such layers a run of several
    processes is another sample than a run of one.
    """

    def forward(images: Tensor) -> Outputs:
        with SharedStatistics(), _own_random(world.rank, images.device):
            outputs = student(world.share(images))
        return _of_all(outputs, len(images), world)

    return student if world.size == 1 else forward


class _Maps(Sequence[Tensor]):
    """Maps that are gathered when a loss asks for them: most losses do not, and maps are what is large in a message."""

    def __init__(self, own: Sequence[Tensor], total: int, world: World) -> None:
        self._own, self._total, self._world = own, total, world
        self._whole: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self._own)

    @overload
    def __getitem__(self, place: int) -> Tensor: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Tensor]: ...
    def __getitem__(self, place: int | slice) -> Tensor | Sequence[Tensor]:
        places = range(len(self._own))[place]
        return self._at(places) if isinstance(places, int) else [self._at(one) for one in places]

    def _at(self, place: int) -> Tensor:
        if place not in self._whole:
            self._whole[place] = gathered(self._own[place], self._total, self._world)
        return self._whole[place]


def _of_all(own: Outputs, total: int, world: World) -> Outputs:
    if not len(own.logits) and own.logits.dim() == 1:
        return own  # nobody's: a run without a teacher
    logits, features = (gathered(rows, total, world) for rows in (own.logits, own.features))
    return Outputs(logits, features, _Maps(own.maps, total, world))


def _empty(outputs: Outputs) -> Outputs:
    return Outputs(outputs.logits[:0], outputs.features[:0], [one[:0] for one in outputs.maps])


@contextmanager
def _own_random(rank: int, device: torch.device) -> Iterator[None]:
    """Random numbers of this process alone; those of the run go on alike in all of them."""
    seed = int(torch.randint(_SEEDS, ())) + rank
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
