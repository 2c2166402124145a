"""Data-parallel forward passes: each process computes its shard and gathers all outputs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import overload

import torch
from torch import Tensor

from dlkd_core.distributed.collectives import all_gather
from dlkd_core.distributed.process_group import World
from dlkd_core.distributed.sync_batch_norm import SyncBatchNormMode
from dlkd_core.network_outputs import ForwardFn, Outputs

_MAX_SEED = 2**62


def parallelize_teacher(teacher: ForwardFn, world: World) -> ForwardFn:
    """Return a teacher whose forward pass on images (N, 3, H, W) is split among the processes.

    Each process runs the teacher on its shard and returns the outputs for all images. The teacher
    is frozen, so its output for an image does not depend on the other images of the batch.
    """

    def forward(images: Tensor) -> Outputs:
        shard = world.shard(images)
        outputs = teacher(shard) if len(shard) else _take_no_rows(teacher(images[:1]))
        return _gather_outputs(outputs, len(images), world)

    return teacher if world.size == 1 else forward


def parallelize_student(student: ForwardFn, world: World) -> ForwardFn:
    """Return a student whose forward pass on images (N, 3, H, W) is split among the processes.

    Each process runs the student on its shard and returns the outputs for all images. Gradients
    flow only to the shard of this process. Batch norm uses the statistics of all images. Random
    numbers inside the network (dropout, stochastic depth) differ between processes, so a network
    with such layers does not train exactly as in a single process.
    """

    def forward(images: Tensor) -> Outputs:
        with SyncBatchNormMode(), _fork_rng_for_rank(world.rank, images.device):
            outputs = student(world.shard(images))
        return _gather_outputs(outputs, len(images), world)

    return student if world.size == 1 else forward


class _LazyFeatureMaps(Sequence[Tensor]):
    """Feature maps that are gathered only when a loss uses them.

    Feature maps are the largest outputs, and most losses do not use them.
    """

    def __init__(self, shards: Sequence[Tensor], total: int, world: World) -> None:
        self._shards, self._total, self._world = shards, total, world
        self._gathered: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self._shards)

    @overload
    def __getitem__(self, index: int) -> Tensor: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Tensor]: ...
    def __getitem__(self, index: int | slice) -> Tensor | Sequence[Tensor]:
        indices = range(len(self._shards))[index]
        if isinstance(indices, int):
            return self._gather(indices)
        return [self._gather(position) for position in indices]

    def _gather(self, index: int) -> Tensor:
        if index not in self._gathered:
            self._gathered[index] = all_gather(self._shards[index], self._total, self._world)
        return self._gathered[index]


def _gather_outputs(shard: Outputs, total: int, world: World) -> Outputs:
    return Outputs(
        all_gather(shard.logits, total, world),
        all_gather(shard.features, total, world),
        _LazyFeatureMaps(shard.feature_maps, total, world),
    )


def _take_no_rows(outputs: Outputs) -> Outputs:
    feature_maps = [feature_map[:0] for feature_map in outputs.feature_maps]
    return Outputs(outputs.logits[:0], outputs.features[:0], feature_maps)


@contextmanager
def _fork_rng_for_rank(rank: int, device: torch.device) -> Iterator[None]:
    """Use different random numbers in each process, within the `with` block only."""
    seed = int(torch.randint(_MAX_SEED, ())) + rank
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
