"""Failures of attempts, by whose they are, and whether another attempt may help.

user: the request or its files, which another attempt would meet again. infrastructure: the trainer, the store, the disk.
preemption: the machine was taken away. The last two are tried again, as long as there are attempts left and checkpoints go on.
"""

from typing import Any, Literal

from registry.tables import Attempt, Job

FailureClass = Literal["user", "infrastructure", "preemption"]
_PREEMPTED = frozenset({"worker_lost"})
_STALLED = 2  # so many attempts in a row that left no newer checkpoint are enough
_CHECKPOINTED = "distill"  # the kind of job that leaves any


def classed(error: dict[str, Any]) -> dict[str, Any]:
    """The error with its class."""
    if error["code"] in _PREEMPTED:
        return {**error, "class": "preemption"}
    return {**error, "class": "infrastructure" if error["retryable"] else "user"}


def count(job: Job, attempt: Attempt, error: dict[str, Any]) -> None:
    """Counts an attempt that failed: one that was preempted and left a newer checkpoint is none of those that are spent."""
    progressed = attempt.saved_step is not None and attempt.saved_step > (attempt.resumed_step or 0)
    job.stalled = 0 if progressed else job.stalled + 1
    if not (progressed and error["class"] == "preemption"):
        job.spent += 1


def final(job: Job, error: dict[str, Any]) -> dict[str, Any] | None:
    """The error with which the job ends; None where another attempt may help."""
    if not error["retryable"]:
        return error
    if job.spent >= job.max_attempts:
        return _ended("attempts_spent", f"All {job.spent} attempts failed, the last one so: {error['message']}", error)
    if job.kind == _CHECKPOINTED and job.stalled >= _STALLED:
        words = f"{job.stalled} attempts in a row left no newer checkpoint, the last one so: {error['message']}"
        return _ended("no_progress", words, error)
    return None


def _ended(code: str, message: str, last: dict[str, Any]) -> dict[str, Any]:
    return {
        "code": code,
        "message": message,
        "hint": last.get("hint") or "Look at the log of the attempts, then retry the job.",
        "retryable": False,
        "cause": last["code"],
        "class": last["class"],
    }
