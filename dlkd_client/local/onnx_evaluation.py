"""Evaluates a downloaded ONNX student outside the service, using only onnxruntime."""

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
class OnnxEvaluation:
    """Accuracy and latency of a model.

    Attributes:
        top1: Top-1 accuracy, in [0, 1].
        images: Number of images on which the accuracy was measured.
        latency_ms: Median latency for one image, in milliseconds.
    """

    top1: float
    images: int
    latency_ms: float


def evaluate_onnx(model_path: Path, data_path: Path) -> OnnxEvaluation:
    """Measure a model's latency, and its accuracy on the val split of a folder or archive."""
    session = onnxruntime.InferenceSession(model_path, providers=["CPUExecutionProvider"])
    _, channels, *_ = session.get_inputs()[0].shape
    val = open_dataset(data_path).with_channels(channels).val
    labels = val.labels.numpy()

    def load_pixels(first: int, last: int) -> npt.NDArray[np.float32]:
        # Images are (batch, C, H, W).
        return val.images[first:last].numpy().astype(np.float32) / np.float32(255)

    def predict(images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.asarray(session.run(["logits"], {"image": images})[0])

    correct = 0
    for first in range(0, len(val), _BATCH):
        last = first + _BATCH
        predicted = predict(load_pixels(first, last)).argmax(1)
        correct += int((predicted == labels[first:last]).sum())
    image = load_pixels(0, 1)
    seconds = []
    for _ in range(_WARM_UP + _REPEATS):
        start = perf_counter()
        predict(image)
        seconds.append(perf_counter() - start)
    return OnnxEvaluation(correct / len(val), len(val), median(seconds[_WARM_UP:]) * 1000)
