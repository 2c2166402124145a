"""Tolerances: how far an exported file may deviate from the trained student."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from dlkd_core.evaluation.accuracy import score_logits
from dlkd_core.evaluation.classification_metrics import top1_agreement


class Tolerance(Protocol):
    """The largest deviation from the student that a format allows."""

    def find_violation(self, logits: Tensor, expected: Tensor, labels: Tensor) -> str | None:
        """Describe how a file's logits (N, classes) violate the tolerance, if they do.

        The description is a verb phrase whose subject is the file. It is None if the logits are
        within the tolerance.
        """


@dataclass(frozen=True)
class LogitTolerance:
    """A limit on the difference in each logit, relative to the largest logit."""

    relative: float

    def find_violation(self, logits: Tensor, expected: Tensor, labels: Tensor) -> str | None:  # noqa: ARG002 - part of the protocol
        """Describe the largest difference if it is too large or NaN. Otherwise return None."""
        difference = (logits - expected).abs().max().item()
        allowed = self.relative * max(1.0, expected.abs().max().item())
        if difference <= allowed:
            return None
        return f"differs by {difference:.2g} in a logit, but only {allowed:.2g} is allowed"


@dataclass(frozen=True)
class AccuracyTolerance:
    """A limit on the loss of top-1 accuracy, in percentage points.

    Without labels, the share of changed predictions is limited instead. That limit is larger,
    because a prediction can change without a loss of accuracy.
    """

    max_lost_points: float
    max_changed_points: float = 2.0

    def find_violation(self, logits: Tensor, expected: Tensor, labels: Tensor) -> str | None:
        """Describe the loss of top-1 accuracy or, without labels, the share of changed predictions.

        Returns None if that value is within the limit.
        """
        if (labels < 0).any():
            changed = round(100 * (1 - top1_agreement(logits, expected)), 6)
            if changed <= self.max_changed_points:
                return None
            return (
                f"changes the answer on {changed:.1f}% of the images, but only "
                f"{self.max_changed_points}% is allowed"
            )
        lost = self.compute_lost_points(logits, expected, labels)
        if lost <= self.max_lost_points:
            return None
        return f"loses {lost:.1f} points of top-1, but only {self.max_lost_points} are allowed"

    def compute_lost_points(self, logits: Tensor, expected: Tensor, labels: Tensor) -> float:
        """Return the loss of top-1 accuracy compared with the student, in percentage points."""
        difference = score_logits(expected, labels).top1 - score_logits(logits, labels).top1
        return round(100 * difference, 6)
