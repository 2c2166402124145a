"""How long one image takes."""

from statistics import median
from time import perf_counter

import torch
from torch import Tensor

from dlkd_core.evaluation.accuracy import Forward

_WARM_UP, _REPEATS = 5, 30


@torch.inference_mode()
def latency_ms(forward: Forward, image: Tensor) -> float:
    """Median milliseconds of one forward pass of `image` (1, 3, H, W), float in [0, 1], after a warm-up."""
    seconds = [_timed(forward, image) for _ in range(_WARM_UP + _REPEATS)]
    return median(seconds[_WARM_UP:]) * 1000


def _timed(forward: Forward, image: Tensor) -> float:
    start = perf_counter()
    forward(image)
    if image.is_cuda:
        torch.cuda.synchronize(image.device)
    return perf_counter() - start
