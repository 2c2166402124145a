"""The gain of a student over its baseline, in words. This module does not import torch."""

from enum import StrEnum
from typing import Any


class GainVerdict(StrEnum):
    """Whether the student is better than the same network trained on labels alone."""

    BETTER = "better"
    WORSE = "worse"
    UNDECIDED = "undecided"


_EXPLANATIONS = {
    GainVerdict.BETTER: "",
    GainVerdict.WORSE: " Distillation made this student worse.",
    GainVerdict.UNDECIDED: " The interval contains zero, so the difference can be due to chance.",
}


def judge_gain(baseline: dict[str, Any]) -> GainVerdict:
    """Return the verdict on a report's baseline. It is undecided if the interval contains zero."""
    gain, interval = baseline["gain"], baseline["gain_interval"]
    if abs(gain) <= interval:
        return GainVerdict.UNDECIDED
    return GainVerdict.BETTER if gain > 0 else GainVerdict.WORSE


def format_gain(baseline: dict[str, Any]) -> str:
    """Format the gain in percentage points with its 95 % interval, such as "+12.3 ± 0.8"."""
    gain = f"{100 * baseline['gain']:+.1f}".replace("-", "\u2212")
    return f"{gain} ± {100 * baseline['gain_interval']:.1f}"


def describe_gain(baseline: dict[str, Any]) -> str:
    """Return the sentences that state the gain, for the model card and the terminal."""
    return (
        f"{format_gain(baseline)} points over the same network trained on labels alone"
        f" ({baseline['top1']:.1%} on {baseline['images']:,} images)."
        f"{_EXPLANATIONS[judge_gain(baseline)]}"
    )
