"""When a file is the student: how far its logits, or its accuracy, may be from what was trained."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from dlkd_core.evaluation.accuracy import score_logits
from dlkd_core.evaluation.classes import agreement


class Agreement(Protocol):
    """What a format promises."""

    def broken(self, logits: Tensor, expected: Tensor, labels: Tensor) -> str | None:
        """What is wrong with the file's logits (N, classes), in words; None where it keeps the promise."""


@dataclass(frozen=True)
class CloseLogits:
    """No logit is further off than this share of the largest one."""

    tolerance: float

    def broken(self, logits: Tensor, expected: Tensor, labels: Tensor) -> str | None:  # noqa: ARG002 - the protocol's
        """The largest difference, where it is too large or no number."""
        difference = (logits - expected).abs().max().item()
        allowed = self.tolerance * max(1.0, expected.abs().max().item())
        return None if difference <= allowed else f"differs by {difference:.2g} in a logit; {allowed:.2g} is allowed"


@dataclass(frozen=True)
class CloseAccuracy:
    """Not more than so many points of top-1 are lost; without labels, not more of the answers change."""

    points: float
    changed: float = 2.0  # points: an answer may change without the accuracy becoming less

    def broken(self, logits: Tensor, expected: Tensor, labels: Tensor) -> str | None:
        """The loss, where it is too large."""
        if (labels < 0).any():
            changed = round(100 * (1 - agreement(logits, expected)), 6)
            return (
                None
                if changed <= self.changed
                else f"answers {changed:.1f} % of the images otherwise; {self.changed} are allowed"
            )
        lost = self.lost(logits, expected, labels)
        return None if lost <= self.points else f"loses {lost:.1f} points of top-1; {self.points} are allowed"

    def lost(self, logits: Tensor, expected: Tensor, labels: Tensor) -> float:
        """Points of top-1 that the file is worse by."""
        return round(100 * (score_logits(expected, labels).top1 - score_logits(logits, labels).top1), 6)
