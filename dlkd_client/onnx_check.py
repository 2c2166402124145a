"""A downloaded student outside the service: run by onnxruntime alone, on the images that were uploaded."""

from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import numpy.typing as npt
import onnxruntime

from dlkd_core.data import open_dataset

_BATCH, _WARM_UP, _REPEATS = 256, 10, 50


@dataclass(frozen=True)
class Measured:
    """`top1` in [0, 1] over `images` evaluation images; median milliseconds of one image."""

    top1: float
    images: int
    latency_ms: float


def run_onnx(model: Path, data: Path) -> Measured:
    """The graph's accuracy on the val split of a folder or archive, and its latency."""
    val = open_dataset(data).val
    labels = val.labels.numpy()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])

    def pixels(first: int, last: int) -> npt.NDArray[np.float32]:
        """(N, 3, H, W) RGB in [0, 1]."""
        return val.images[first:last].numpy().astype(np.float32) / np.float32(255)

    def logits(part: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.asarray(session.run(["logits"], {"image": part})[0])

    batches = range(0, len(val), _BATCH)
    hits = sum(int((logits(pixels(at, at + _BATCH)).argmax(1) == labels[at : at + _BATCH]).sum()) for at in batches)
    image = pixels(0, 1)
    seconds = []
    for _ in range(_WARM_UP + _REPEATS):
        start = perf_counter()
        logits(image)
        seconds.append(perf_counter() - start)
    return Measured(hits / len(val), len(val), median(seconds[_WARM_UP:]) * 1000)
