"""How long one image takes, and how many a second go through."""

from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter

import torch
from torch import Tensor

from dlkd_core.evaluation.accuracy import Forward

_WARM_UP, _REPEATS = 5, 30
_BATCH, _BATCHES = 64, 3


@dataclass(frozen=True)
class Speed:
    """Milliseconds of one image alone, median and 95th percentile; images a second in batches of 64."""

    latency_ms: float
    latency_p95_ms: float
    throughput: float


@torch.inference_mode()
def speed(forward: Forward, image: Tensor) -> Speed:
    """Measured on `image` (1, 3, H, W), float in [0, 1], after a warm-up."""
    single = _seconds(forward, image, _WARM_UP, _REPEATS)
    batch = _seconds(forward, image.expand(_BATCH, -1, -1, -1).contiguous(), 1, _BATCHES)
    return Speed(median(single) * 1000, quantiles(single, n=20)[-1] * 1000, _BATCH / median(batch))


@torch.inference_mode()
def latency_ms(forward: Forward, image: Tensor) -> float:
    """The median alone."""
    return median(_seconds(forward, image, _WARM_UP, _REPEATS)) * 1000


def _seconds(forward: Forward, image: Tensor, warm_up: int, repeats: int) -> list[float]:
    return [_timed(forward, image) for _ in range(warm_up + repeats)][warm_up:]


def _timed(forward: Forward, image: Tensor) -> float:
    start = perf_counter()
    forward(image)
    if image.is_cuda:
        torch.cuda.synchronize(image.device)
    return perf_counter() - start
