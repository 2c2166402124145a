"""What processes exchange in a step, with gradients.

Each process computes the same loss from all rows. So the gradient of a gathered tensor is the same everywhere, and each takes the
part of its own rows: nothing is counted twice. Sums over shares are the other case: each process's part of the gradient counts.
"""

from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd import Function

from dlkd_core.distributed import World


def gathered(own: Tensor, total: int, world: World) -> Tensor:
    """All rows (total, ...) of the shares (own, ...), with gradient to the own ones."""
    if world.size == 1:
        return own
    if 0 in own.shape[1:]:  # logits of no class: there is nothing to send
        return own.new_zeros(total, *own.shape[1:])
    rows: Tensor = _Gathered.apply(own, world.counts(total), world.rank)
    return rows


def summed(own: Tensor) -> Tensor:
    """The sum over all processes, with gradient: each process's use of the sum counts."""
    total: Tensor = _Summed.apply(own)
    return total


@torch.no_grad()
def share_gradients(partial: Iterable[Tensor], whole: Iterable[Tensor], world: World) -> None:
    """Gives all processes the same gradients, in one message.

    Args:
        partial: parameters that saw a share of the images: their gradients are added up.
        whole: parameters that saw all: their gradients are equal but for rounding on a GPU, and are averaged lest they drift.
        world: the processes.
    """
    if world.size == 1:
        return
    parts = [one.grad for one in partial if one.grad is not None]
    means = [one.grad.div_(world.size) for one in whole if one.grad is not None]
    gradients = [*parts, *means]
    flat = torch.cat([one.flatten() for one in gradients])
    dist.all_reduce(flat)
    for gradient, total in zip(gradients, torch.split(flat, [one.numel() for one in gradients]), strict=True):
        gradient.copy_(total.view_as(gradient))


class _Gathered(Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor, counts: list[int], rank: int) -> Tensor:
        ctx.place = slice(sum(counts[:rank]), sum(counts[: rank + 1]))
        padded = own.new_zeros(max(counts), *own.shape[1:])  # Gloo wants shares of one size
        padded[: len(own)] = own
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0][ctx.place], None, None


class _Summed(Function):
    @staticmethod
    def forward(_ctx: Any, own: Tensor) -> Tensor:
        total = own.detach().clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_ctx: Any, *gradients: Any) -> Any:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total
