"""Progress of a job: the completed fraction and the estimated remaining time."""

from datetime import datetime
from typing import Any

TRAINING_SHARE = 0.95  # the rest is evaluation and export
EMPTY_PROGRESS: dict[str, Any] = {
    "phase": None,
    "epoch": None,
    "epochs": None,
    "step": None,
    "steps": None,
    "fraction": 0.0,
    "eta_seconds": None,
    "images_per_second": None,
}
_REPORTED_FIELDS = frozenset({"phase", "epoch", "epochs", "step", "steps"})
_BATCH_SIZE_KEY = "batch_size"  # reported with the steps but not stored, because it is in the spec
_PACE_START_KEY = "_from"  # [step, timestamp] at which measuring this attempt's pace began


def advance(before: dict[str, Any], update: dict[str, Any], at: datetime) -> dict[str, Any]:
    """Return the progress after an update.

    An update may contain phase, epoch, epochs, step, steps and batch_size. The fraction never
    decreases. The pace is measured anew when an attempt reports its first step or a smaller step
    than before.
    """
    after = {
        **EMPTY_PROGRESS,
        **before,
        **{name: value for name, value in update.items() if name in _REPORTED_FIELDS},
    }
    after["fraction"] = max(after["fraction"], _training_fraction(after))
    after[_PACE_START_KEY] = _pace_start(before, after, at)
    pace = _seconds_per_step(after, at)
    if pace is None:
        after["eta_seconds"] = after["eta_seconds"] if after[_PACE_START_KEY] is None else None
        return after
    after["eta_seconds"] = round(pace * max(after["steps"] - after["step"], 0), 1)
    if update.get(_BATCH_SIZE_KEY):
        after["images_per_second"] = round(update[_BATCH_SIZE_KEY] / pace, 1)
    return after


def restart(before: dict[str, Any]) -> dict[str, Any]:
    """Return the progress at the start of the next attempt. The measured pace is discarded."""
    return {
        **EMPTY_PROGRESS,
        **before,
        "phase": None,
        "eta_seconds": None,
        "images_per_second": None,
        _PACE_START_KEY: None,
    }


def complete(before: dict[str, Any]) -> dict[str, Any]:
    """Return the progress of a job that has succeeded."""
    return {**EMPTY_PROGRESS, **before, "fraction": 1.0, "eta_seconds": 0.0}


def to_public(progress: dict[str, Any]) -> dict[str, Any]:
    """Return the progress without its internal fields, as clients see it."""
    return {name: progress.get(name, default) for name, default in EMPTY_PROGRESS.items()}


def _training_fraction(progress: dict[str, Any]) -> float:
    step, steps = progress["step"], progress["steps"]
    if progress["phase"] == "exporting":
        return TRAINING_SHARE
    return round(TRAINING_SHARE * min(step / steps, 1.0), 4) if step and steps else 0.0


def _pace_start(before: dict[str, Any], after: dict[str, Any], at: datetime) -> list[Any] | None:
    start, step = before.get(_PACE_START_KEY), after["step"]
    if step is None:
        return None
    if start is None or step < start[0]:
        return [step, at.timestamp()]
    return list(start)


def _seconds_per_step(progress: dict[str, Any], at: datetime) -> float | None:
    start, step = progress[_PACE_START_KEY], progress["step"]
    if start is None or not progress["steps"] or step <= start[0]:
        return None
    return float(max(at.timestamp() - start[1], 1e-3) / (step - start[0]))
