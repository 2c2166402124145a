"""Classification of failed attempts, and the decision whether to retry the job.

- user: the request or its files are wrong, and another attempt would fail in the same way.
- infrastructure: the trainer, the store or the disk failed.
- preemption: the machine was taken away.

Failures of the last two classes are retried while attempts are left, provided that each retry gets
further than the attempt before it, that is, saves a newer checkpoint.
"""

from enum import StrEnum
from typing import Any

from registry.db.job_tables import Attempt, Job
from registry.jobs.job_enums import JobKind


class FailureClass(StrEnum):
    """The cause of a failure, stored as `class` in the error."""

    USER = "user"
    INFRASTRUCTURE = "infrastructure"
    PREEMPTION = "preemption"


_PREEMPTION_CODES = frozenset({"worker_lost"})
_MAX_STALLED_ATTEMPTS = 2


def classify(error: dict[str, Any]) -> dict[str, Any]:
    """Return the error with its failure class."""
    if error["code"] in _PREEMPTION_CODES:
        return {**error, "class": FailureClass.PREEMPTION}
    return {
        **error,
        "class": FailureClass.INFRASTRUCTURE if error["retryable"] else FailureClass.USER,
    }


def count_failure(job: Job, attempt: Attempt, error: dict[str, Any]) -> None:
    """Count a failed attempt, unless it was preempted after it had saved a newer checkpoint."""
    progressed = attempt.saved_step is not None and attempt.saved_step > (attempt.resumed_step or 0)
    job.stalled = 0 if progressed else job.stalled + 1
    if not (progressed and error["class"] == FailureClass.PREEMPTION):
        job.spent += 1


def final_error(job: Job, error: dict[str, Any]) -> dict[str, Any] | None:
    """Return the error that ends the job, or None if another attempt may help."""
    if not error["retryable"]:
        return error
    if job.spent >= job.max_attempts:
        return _wrap_last_error(
            "attempts_spent",
            f"All {job.spent} attempts failed. The last error was: {error['message']}",
            error,
        )
    # Only training jobs save checkpoints.
    if job.kind == JobKind.DISTILL and job.stalled >= _MAX_STALLED_ATTEMPTS:
        return _wrap_last_error(
            "no_progress",
            f"{job.stalled} attempts in a row failed without saving a newer checkpoint. "
            f"The last error was: {error['message']}",
            error,
        )
    return None


def _wrap_last_error(code: str, message: str, last_error: dict[str, Any]) -> dict[str, Any]:
    return {
        "code": code,
        "message": message,
        "hint": last_error.get("hint") or "Check the log of the attempts, then retry the job.",
        "retryable": False,
        "cause": last_error["code"],
        "class": last_error["class"],
    }
