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
# Whether a baseline is trained after the student. Stored, but not shown to clients.
_HAS_BASELINE_KEY = "has_baseline"
_REPORTED_FIELDS = frozenset({"phase", "epoch", "epochs", "step", "steps", _HAS_BASELINE_KEY})
_BATCH_SIZE_KEY = "batch_size"  # reported with the steps, but only the throughput is stored
_PACE_START_KEY = "_from"  # [step, timestamp] at which measuring this attempt's pace began


def advance(before: dict[str, Any], update: dict[str, Any], at: datetime) -> dict[str, Any]:
    """Return the progress after an update.

    An update may contain phase, epoch, epochs, step, steps, batch_size and has_baseline. The
    fraction never decreases. The pace is measured anew when an attempt reports its first step, a
    smaller step than before, or the phase baseline.

    The baseline has as many steps as the student, unless one of them stops early. The estimated
    time counts both at the pace of the current training. It is too long while the student is
    trained, because the baseline needs no teacher.
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
    remaining_steps = max(after["steps"] - after["step"], 0)
    if after.get(_HAS_BASELINE_KEY) and after["phase"] == "training":
        remaining_steps += after["steps"]
    after["eta_seconds"] = round(pace * remaining_steps, 1)
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
    if progress["phase"] in ("evaluating", "exporting"):
        return TRAINING_SHARE
    done = min(step / steps, 1.0) if step and steps else 0.0
    if progress.get(_HAS_BASELINE_KEY):
        done = (done + (progress["phase"] == "baseline")) / 2
    return round(TRAINING_SHARE * done, 4)


def _pace_start(before: dict[str, Any], after: dict[str, Any], at: datetime) -> list[Any] | None:
    start, step = before.get(_PACE_START_KEY), after["step"]
    if step is None:
        return None
    starts_baseline = after["phase"] == "baseline" and before.get("phase") != "baseline"
    if start is None or step < start[0] or starts_baseline:
        return [step, at.timestamp()]
    return list(start)


def _seconds_per_step(progress: dict[str, Any], at: datetime) -> float | None:
    start, step = progress[_PACE_START_KEY], progress["step"]
    if start is None or not progress["steps"] or step <= start[0]:
        return None
    return float(max(at.timestamp() - start[1], 1e-3) / (step - start[0]))
