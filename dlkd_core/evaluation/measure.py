"""Everything that a model's page says of a network, as plain data."""

from dataclasses import asdict
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dlkd_core.evaluation.accuracy import Forward, score_logits
from dlkd_core.evaluation.classes import agreement, calibration_error, confusion, per_class
from dlkd_core.evaluation.cost import macs, parameters
from dlkd_core.evaluation.latency import speed

_SHOWN_CLASSES = 200  # a larger confusion matrix is no picture any more, and millions of numbers in a row


OF_LABELS = ("top1", "top5", "nll", "ece", "per_class", "confusion")


def likeness(logits: Tensor, teacher: Tensor) -> dict[str, float]:
    """What logits (N, classes) are worth against a teacher's: the share of equal answers, and the mean cross-entropy in nats."""
    expected = teacher.double().softmax(dim=1)
    return {"agreement": agreement(logits, teacher), "teacher_nll": cross_entropy(logits.double(), expected).item()}


def quality(logits: Tensor, labels: Tensor) -> dict[str, Any]:
    """What logits (N, classes) are worth against labels (N,); None for each number where the images have no labels."""
    if (labels < 0).any():
        return {**dict.fromkeys(OF_LABELS), "images": len(labels)}
    small = logits.shape[1] <= _SHOWN_CLASSES
    return {
        **score_logits(logits, labels).facts(),
        "ece": calibration_error(logits, labels),
        "per_class": per_class(logits, labels),
        "confusion": confusion(logits, labels).tolist() if small else None,
    }


def cost(network: nn.Module, forward: Forward, image: Tensor) -> dict[str, Any]:
    """What one `image` (1, 3, H, W) costs, on the device that it is on."""
    return {"parameters": parameters(network), "macs": macs(network, image), **asdict(speed(forward, image))}
