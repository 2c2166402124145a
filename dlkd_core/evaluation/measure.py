"""Everything that a model's page says of a network, as plain data."""

from dataclasses import asdict
from typing import Any

from torch import Tensor, nn

from dlkd_core.evaluation.accuracy import Forward, score_logits
from dlkd_core.evaluation.classes import calibration_error, confusion, per_class
from dlkd_core.evaluation.cost import macs, parameters
from dlkd_core.evaluation.latency import speed

_SHOWN_CLASSES = 200  # a larger confusion matrix is no picture any more, and millions of numbers in a row


def quality(logits: Tensor, labels: Tensor) -> dict[str, Any]:
    """What logits (N, classes) are worth against labels (N,)."""
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
