"""How far a job is, and when it will end: plain arithmetic on the facts that an attempt tells."""

from datetime import datetime
from typing import Any

TRAINING_SHARE = 0.95  # of the whole; what is left is evaluating and exporting
EMPTY: dict[str, Any] = {
    "phase": None,
    "epoch": None,
    "epochs": None,
    "step": None,
    "steps": None,
    "fraction": 0.0,
    "eta_seconds": None,
    "images_per_second": None,
}
_PUBLIC = frozenset({"phase", "epoch", "epochs", "step", "steps"})
_BATCH = "batch_size"  # told with the steps; a client knows it from its spec
_MEASURED_FROM = "_from"  # step and time at which this attempt's pace began to be measured


def advance(before: dict[str, Any], facts: dict[str, Any], at: datetime) -> dict[str, Any]:
    """The progress with new facts (phase, epoch, epochs, step, steps, batch_size) taken in. The fraction never goes back.

    A first step after another attempt's, or a smaller one, starts the measuring of the pace anew.
    """
    after = {**EMPTY, **before, **{name: value for name, value in facts.items() if name in _PUBLIC}}
    after["fraction"] = max(after["fraction"], _fraction(after))
    after[_MEASURED_FROM] = _measured_from(before, after, at)
    pace = _pace(after, at)
    if pace is None:
        after["eta_seconds"] = after["eta_seconds"] if after[_MEASURED_FROM] is None else None
        return after
    after["eta_seconds"] = round(pace * max(after["steps"] - after["step"], 0), 1)
    if facts.get(_BATCH):
        after["images_per_second"] = round(facts[_BATCH] / pace, 1)
    return after


def restart(before: dict[str, Any]) -> dict[str, Any]:
    """The progress as the next attempt begins with it: the steps done before say nothing about its pace."""
    return {**EMPTY, **before, "phase": None, "eta_seconds": None, "images_per_second": None, _MEASURED_FROM: None}


def done(before: dict[str, Any]) -> dict[str, Any]:
    """The progress of a job that succeeded."""
    return {**EMPTY, **before, "fraction": 1.0, "eta_seconds": 0.0}


def public(progress: dict[str, Any]) -> dict[str, Any]:
    """What clients see of it."""
    return {name: progress.get(name, default) for name, default in EMPTY.items()}


def _fraction(progress: dict[str, Any]) -> float:
    step, steps = progress["step"], progress["steps"]
    if progress["phase"] == "exporting":
        return TRAINING_SHARE
    return round(TRAINING_SHARE * min(step / steps, 1.0), 4) if step and steps else 0.0


def _measured_from(before: dict[str, Any], after: dict[str, Any], at: datetime) -> list[Any] | None:
    since, step = before.get(_MEASURED_FROM), after["step"]
    if step is None:
        return None
    if since is None or step < since[0]:
        return [step, at.timestamp()]
    return list(since)


def _pace(progress: dict[str, Any], at: datetime) -> float | None:
    """Seconds a step, since this attempt's pace began to be measured; None before there is one."""
    since, step = progress[_MEASURED_FROM], progress["step"]
    if since is None or not progress["steps"] or step <= since[0]:
        return None
    return float(max(at.timestamp() - since[1], 1e-3) / (step - since[0]))
