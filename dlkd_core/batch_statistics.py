"""Batch norms that see the whole batch although each process has a share of it.

Not `torch.nn.SyncBatchNorm`, which runs on GPUs alone and would have to take the place of every kind of batch norm that a library
has. All of them end in `F.batch_norm`, and that one call is answered here: no module changes, and its state stays what it is.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from dlkd_core.collectives import summed


class SharedStatistics(TorchFunctionMode):
    """Within it batch norms in training take mean and variance over the rows of all processes, and track those."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is F.batch_norm:
            return _batch_norm(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _batch_norm(  # noqa: PLR0913, PLR0917 - the signature of F.batch_norm
    input: Tensor,  # noqa: A002 - as above
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,  # noqa: FBT001, FBT002 - as above
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    if not training:
        return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    rows = input if input.dtype == torch.float64 else input.float()
    mean, variance, count = _moments(rows)
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean), momentum)
            running_var.lerp_((variance * (count / (count - 1))).to(running_var), momentum)
    scale = (variance + eps).rsqrt().to(rows)
    normal = (rows - _channels(mean.to(rows), rows)) * _channels(scale if weight is None else scale * weight, rows)
    return (normal if bias is None else normal + _channels(bias, rows)).to(input)


def _moments(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and biased variance per channel of rows (N, C, ...) of all processes, and how many numbers a channel has.

    Added up in float64, and in two passes: a sum of squares minus the square of a sum would lose the small variances.
    """
    others = [dimension for dimension in range(rows.dim()) if dimension != 1]
    count = rows.new_tensor([rows.numel() // rows.shape[1]], dtype=torch.float64)
    sums = summed(torch.cat([rows.sum(others, dtype=torch.float64), count]))
    mean, total = sums[:-1] / sums[-1], sums[-1]
    variance = summed((rows - _channels(mean.to(rows), rows)).square().sum(others, dtype=torch.float64)) / total
    return mean, variance, total


def _channels(values: Tensor, rows: Tensor) -> Tensor:
    """(C,) to (1, C, 1, ...), to meet rows (N, C, ...)."""
    return values.view(1, -1, *[1] * (rows.dim() - 2))
