"""Batch normalization with the statistics of the whole batch when each process has only a shard.

`torch.nn.SyncBatchNorm` runs only on GPUs, and each library's own batch norm classes would have to
be replaced by it. All these classes call `F.batch_norm`, so this module overrides that function.
Networks and their state dicts do not change.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from dlkd_core.distributed.collectives import all_reduce_sum


class SyncBatchNormMode(TorchFunctionMode):
    """A context in which batch norms in training mode use the statistics of all processes."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func is F.batch_norm:
            return _batch_norm(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _batch_norm(  # noqa: PLR0913, PLR0917 - the signature of F.batch_norm
    input: Tensor,  # noqa: A002 - the signature of F.batch_norm
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,  # noqa: FBT001, FBT002 - the signature of F.batch_norm
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    if not training:
        return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    rows = input if input.dtype == torch.float64 else input.float()
    mean, variance, count = _moments(rows)
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            unbiased_variance = variance * (count / (count - 1))
            running_mean.lerp_(mean.to(running_mean), momentum)
            running_var.lerp_(unbiased_variance.to(running_var), momentum)
    scale = (variance + eps).rsqrt().to(rows)
    if weight is not None:
        scale = scale * weight
    centered = rows - _broadcast_channels(mean.to(rows), rows)
    normalized = centered * _broadcast_channels(scale, rows)
    if bias is not None:
        normalized = normalized + _broadcast_channels(bias, rows)
    return normalized.to(input)


def _moments(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean, biased variance and count per channel over the rows of all processes.

    Rows are (N, C, ...). Sums are computed in float64 and in two passes, because a sum of
    squares minus the square of a sum would lose small variances.
    """
    other_dimensions = [dimension for dimension in range(rows.dim()) if dimension != 1]
    count = rows.new_tensor([rows.numel() // rows.shape[1]], dtype=torch.float64)
    channel_sums = rows.sum(other_dimensions, dtype=torch.float64)  # (C,)
    sums = all_reduce_sum(torch.cat([channel_sums, count]))
    mean, total = sums[:-1] / sums[-1], sums[-1]
    squares = (rows - _broadcast_channels(mean.to(rows), rows)).square()
    variance = all_reduce_sum(squares.sum(other_dimensions, dtype=torch.float64)) / total
    return mean, variance, total


def _broadcast_channels(values: Tensor, rows: Tensor) -> Tensor:
    # (C,) to (1, C, 1, ...), to match rows (N, C, ...)
    return values.view(1, -1, *[1] * (rows.dim() - 2))
