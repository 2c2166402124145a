"""Difference between the accuracies of two networks on the same images, with its interval."""

from dataclasses import dataclass
from math import sqrt

from torch import Tensor

_Z = 1.959964  # quantile of the normal distribution for two-sided intervals of 95 %


@dataclass(frozen=True)
class PairedDifference:
    """Difference of two accuracies in [-1, 1], and the half-width of its 95 % interval."""

    difference: float
    half_width: float


def compare_accuracy(logits: Tensor, other_logits: Tensor, labels: Tensor) -> PairedDifference:
    """Return how much higher the accuracy of `logits` (N, classes) is than that of `other_logits`.

    The interval accounts for the choice of the images, not for that of the seed. It is narrower
    than an interval from two independent sets of images, because images that both networks
    classify equally well or badly add nothing to it. Half an image is added to each of the four
    outcomes of an image, so that a few images cannot look like certainty.

    Source: Agresti and Min 2005, "Simple improved confidence intervals for comparing matched
    proportions", Statistics in Medicine 24, section 3.
    """
    hits = logits.argmax(dim=1) == labels
    other_hits = other_logits.argmax(dim=1) == labels
    wins = int((hits & ~other_hits).sum())
    losses = int((other_hits & ~hits).sum())
    adjusted = len(labels) + 2
    variance = (wins + losses + 1 - (wins - losses) ** 2 / adjusted) / adjusted**2
    return PairedDifference((wins - losses) / len(labels), _Z * sqrt(variance))
