"""Collective operations through which gradients flow.

All processes compute the same loss from all rows. The gradient of a gathered tensor is therefore
the same in every process, and each process keeps only the part for its own rows, so that nothing is
counted twice. A sum over shards, such as one in batch norm, is different: each process applies it
to its own rows only, so the gradients from all processes must be added up.
"""

from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd import Function

from dlkd_core.distributed.process_group import World


def all_gather(shard: Tensor, total: int, world: World) -> Tensor:
    """Gather the shards (rows, ...) of all processes into (total, ...).

    Gradients flow only to the rows of this process.
    """
    if world.size == 1:
        return shard
    if 0 in shard.shape[1:]:  # logits of a network without classes, so there is nothing to send
        return shard.new_zeros(total, *shard.shape[1:])
    rows: Tensor = _AllGather.apply(shard, world.shard_sizes(total), world.rank)
    return rows


def all_reduce_sum(value: Tensor) -> Tensor:
    """Sum a tensor over all processes. The backward pass sums the gradients in the same way."""
    total: Tensor = _AllReduceSum.apply(value)
    return total


@torch.no_grad()
def reduce_gradients(sharded: Iterable[Tensor], replicated: Iterable[Tensor], world: World) -> None:
    """Make the gradients equal in all processes, with a single all-reduce.

    Args:
        sharded: Parameters whose gradients come from a shard of the images. The gradients are
            summed.
        replicated: Parameters whose gradients come from all images. On a GPU, the gradients of
            different processes can differ by rounding errors. They are averaged so that the
            processes do not drift apart.
        world: Processes of the run.
    """
    if world.size == 1:
        return
    summed = [parameter.grad for parameter in sharded if parameter.grad is not None]
    averaged = [
        parameter.grad.div_(world.size) for parameter in replicated if parameter.grad is not None
    ]
    gradients = [*summed, *averaged]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    reduced = torch.split(flat, [gradient.numel() for gradient in gradients])
    for gradient, total in zip(gradients, reduced, strict=True):
        gradient.copy_(total.view_as(gradient))


class _AllGather(Function):
    @staticmethod
    def forward(ctx: Any, shard: Tensor, sizes: list[int], rank: int) -> Tensor:
        ctx.own_rows = slice(sum(sizes[:rank]), sum(sizes[: rank + 1]))
        padded = shard.new_zeros(max(sizes), *shard.shape[1:])  # Gloo needs shards of equal size
        padded[: len(shard)] = shard
        parts = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0][ctx.own_rows], None, None


class _AllReduceSum(Function):
    @staticmethod
    def forward(_ctx: Any, value: Tensor) -> Tensor:
        total = value.detach().clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_ctx: Any, *gradients: Any) -> Any:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total
