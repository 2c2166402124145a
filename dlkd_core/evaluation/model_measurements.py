"""Quality and cost metrics of a network, as plain data for reports."""

from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from dlkd_core.evaluation.accuracy import LogitsFn, score_logits
from dlkd_core.evaluation.classification_metrics import (
    confusion_matrix,
    expected_calibration_error,
    per_class_accuracy,
    top1_agreement,
)
from dlkd_core.evaluation.latency import measure_latency
from dlkd_core.models.network import count_parameters

# A larger confusion matrix would be unreadable as an image and bloat the report.
_MAX_CONFUSION_CLASSES = 200

# Metrics that need both labels and logits.
LABEL_METRICS = ("top1", "top5", "nll", "ece", "per_class", "confusion")


def measure_agreement(logits: Tensor, teacher: Tensor) -> dict[str, float]:
    """Compare a student's logits (N, classes) with the teacher's.

    Returns:
        The share of images with the same top-1 class, and the mean cross-entropy of the student
        with respect to the teacher, in nats.
    """
    expected = teacher.double().softmax(dim=1)
    return {
        "agreement": top1_agreement(logits, teacher),
        "teacher_nll": cross_entropy(logits.double(), expected).item(),
    }


def measure_quality(logits: Tensor, labels: Tensor) -> dict[str, Any]:
    """Compute quality metrics from logits (N, classes) and labels (N,).

    Every metric is None if the images have no labels.
    """
    if (labels < 0).any():
        return {**dict.fromkeys(LABEL_METRICS), "images": len(labels)}
    has_confusion = logits.shape[1] <= _MAX_CONFUSION_CLASSES
    return {
        **score_logits(logits, labels).to_dict(),
        "ece": expected_calibration_error(logits, labels),
        "per_class": per_class_accuracy(logits, labels),
        "confusion": confusion_matrix(logits, labels).tolist() if has_confusion else None,
    }


def measure_cost(network: nn.Module, forward: LogitsFn, image: Tensor) -> dict[str, Any]:
    """Measure a network's parameters, multiply-accumulates and latency for `image` (1, 3, H, W).

    The measurements run on the device of the image.
    """
    return {
        "parameters": count_parameters(network),
        "macs": count_macs(network, image),
        **asdict(measure_latency(forward, image)),
    }


@torch.no_grad()  # the counter does not work under inference mode
def count_macs(network: nn.Module, image: Tensor) -> int | None:
    """Count the multiply-accumulates in a network's convolutions and matrix products.

    Args:
        network: Network in evaluation mode.
        image: One image (1, 3, H, W).

    Returns:
        The count, or None if torch does not run the network (as with ONNX graphs).
    """
    counter = FlopCounterMode(display=False)
    with counter:
        network(image)
    return counter.get_total_flops() // 2 or None
