"""Measures latency and throughput."""

from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter

import torch
from torch import Tensor

from dlkd_core.evaluation.accuracy import LogitsFn

_WARMUP, _REPEATS = 5, 30
_BATCH_SIZE, _BATCH_REPEATS = 64, 3


@dataclass(frozen=True)
class LatencyStats:
    """Latency and throughput of a network.

    Attributes:
        latency_ms: Median latency for a single image, in milliseconds.
        latency_p95_ms: 95th percentile of the latency for a single image, in milliseconds.
        throughput: Images per second in batches of 64.
    """

    latency_ms: float
    latency_p95_ms: float
    throughput: float


@torch.inference_mode()
def measure_latency(forward: LogitsFn, image: Tensor) -> LatencyStats:
    """Measure latency and throughput with `image` (1, 3, H, W), float in [0, 1].

    The measurement starts after a warm-up.
    """
    single = _time_repeats(forward, image, _WARMUP, _REPEATS)
    batch = image.expand(_BATCH_SIZE, -1, -1, -1).contiguous()
    batched = _time_repeats(forward, batch, 1, _BATCH_REPEATS)
    return LatencyStats(
        latency_ms=median(single) * 1000,
        latency_p95_ms=quantiles(single, n=20)[-1] * 1000,
        throughput=_BATCH_SIZE / median(batched),
    )


@torch.inference_mode()
def measure_median_latency_ms(forward: LogitsFn, image: Tensor) -> float:
    """Return the median latency for `image` (1, 3, H, W), float in [0, 1], in milliseconds."""
    return median(_time_repeats(forward, image, _WARMUP, _REPEATS)) * 1000


def _time_repeats(forward: LogitsFn, images: Tensor, warmup: int, repeats: int) -> list[float]:
    """Return the seconds that each repetition took, excluding the warm-up."""
    seconds = []
    for _ in range(warmup + repeats):
        start = perf_counter()
        forward(images)
        if images.is_cuda:
            torch.cuda.synchronize(images.device)
        seconds.append(perf_counter() - start)
    return seconds[warmup:]
