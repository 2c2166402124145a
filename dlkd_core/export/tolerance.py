"""Tolerances: how far an exported file may deviate from the trained student."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from dlkd_core.evaluation.accuracy import score_logits
from dlkd_core.evaluation.classification import top1_agreement


class Tolerance(Protocol):
    """The deviation from the student that a format guarantees."""

    def find_violation(self, logits: Tensor, expected: Tensor, labels: Tensor) -> str | None:
        """Describe what is wrong with the file's logits (N, classes), or return None.

        The description is a verb phrase with the file as subject.
        """


@dataclass(frozen=True)
class LogitTolerance:
    """Limit on the difference of each logit, relative to the largest logit."""

    relative: float

    def find_violation(self, logits: Tensor, expected: Tensor, labels: Tensor) -> str | None:  # noqa: ARG002 - part of the protocol
        """Report the largest difference if it is too large or NaN."""
        difference = (logits - expected).abs().max().item()
        allowed = self.relative * max(1.0, expected.abs().max().item())
        if difference <= allowed:
            return None
        return f"differs by {difference:.2g} in a logit, but only {allowed:.2g} is allowed"


@dataclass(frozen=True)
class AccuracyTolerance:
    """Limit on the loss of top-1, in percentage points.

    Without labels the limit is on the share of changed answers, which is larger because an answer
    can change without a loss of accuracy.
    """

    max_lost_points: float
    max_changed_points: float = 2.0

    def find_violation(self, logits: Tensor, expected: Tensor, labels: Tensor) -> str | None:
        """Report the loss of top-1, or the share of changed answers, if it is too large."""
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
        """Return the loss of top-1 compared with the student, in percentage points."""
        difference = score_logits(expected, labels).top1 - score_logits(logits, labels).top1
        return round(100 * difference, 6)
