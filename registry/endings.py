"""How an attempt ends and what follows from it: for the job, and for the upload that a check was about."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from dlkd_core.errors import CheckpointCorrupt
from registry import datasets, jobs, lifecycle, teachers
from registry.artifacts import Stored
from registry.db import now
from registry.lifecycle import JobStatus
from registry.tables import Attempt, Dataset, Job, Teacher

LOG_LINES = 100
MAX_PAUSE = timedelta(minutes=10)


@dataclass(frozen=True)
class Settled:
    """What is left to do after the commit: hints to send as (queue, job id), and files that may have to be forgotten."""

    hints: list[tuple[str, str]] = field(default_factory=list)
    forget: list[str] = field(default_factory=list)


def end(session: Session, job: Job, outcome: str, *, to: JobStatus, error: dict[str, Any] | None = None, **facts: Any) -> None:
    """Closes the running attempt with its outcome and moves the job."""
    actor = job.worker_id or "registry"
    attempt = session.get_one(Attempt, (job.id, job.attempt))
    attempt.status, attempt.error, attempt.finished_at = outcome, error, now(session)
    if error is not None:
        facts["error"] = error
    lifecycle.move(session, job, to, actor=actor, attempt=job.attempt, outcome=outcome, **facts)


def attempt_failed(
    session: Session, job: Job, error: dict[str, Any], *, log_tail: Sequence[str], retry_after: timedelta, outcome: str = "failed"
) -> Settled:
    """Ends the attempt with an error, and the job where trying again would not help or was tried often enough."""
    log = list(log_tail)[-LOG_LINES:]
    session.get_one(Attempt, (job.id, job.attempt)).log_tail = log
    if job.status == JobStatus.CANCELLING:
        end(session, job, "cancelled", to=JobStatus.CANCELLED, error=error)
        return Settled()
    job.spent += 1
    if error["code"] == CheckpointCorrupt.code:
        job.checkpoint_key = job.checkpoint_step = None  # the next attempt starts from the beginning
    if error["retryable"] and job.spent < job.max_attempts:
        end(session, job, outcome, to=JobStatus.QUEUED, error=error)
        job.not_before = now(session) + min(retry_after * 2 ** (job.spent - 1), MAX_PAUSE)
        return Settled()
    final = _attempts_spent(job, error) if error["retryable"] else error
    job.error = {**final, "attempt": job.attempt, "log": log}
    end(session, job, outcome, to=JobStatus.FAILED, error=final)
    return settle_invalid(session, job, final)


def _attempts_spent(job: Job, last: dict[str, Any]) -> dict[str, Any]:
    return {
        "code": "attempts_spent",
        "message": f"All {job.spent} attempts failed, the last one so: {last['message']}",
        "hint": last.get("hint") or "Look at the log of the attempts, then submit the job again.",
        "retryable": False,
        "cause": last["code"],
    }


def settle_ready(session: Session, job: Job, report: dict[str, Any], packed: Stored | None) -> Settled:
    """After a check that found nothing wrong."""
    subject = _subject(session, job)
    if isinstance(subject, Dataset):
        if packed is None:
            raise ValueError("the check of a data set must leave its packed file")
        datasets.set_ready(subject, report, packed)
    elif isinstance(subject, Teacher):
        teachers.set_ready(subject, report)
    session.flush()
    return Settled(hints=_promoted(session, job.subject_id))


def settle_invalid(session: Session, job: Job, error: dict[str, Any]) -> Settled:
    """After a check that failed for good; nothing for other jobs."""
    subject = _subject(session, job)
    if subject is None:
        return Settled()
    public = {name: error.get(name) for name in ("code", "message", "hint")}
    if isinstance(subject, Dataset):
        datasets.set_invalid(subject, public)
    else:
        teachers.set_invalid(subject, public)
    session.flush()
    return Settled(hints=_promoted(session, job.subject_id), forget=[subject.sha256])


def _subject(session: Session, job: Job) -> Dataset | Teacher | None:
    if job.kind == "check_dataset":
        return session.get_one(Dataset, job.subject_id)
    return session.get_one(Teacher, job.subject_id) if job.kind == "check_teacher" else None


def _promoted(session: Session, subject_id: str | None) -> list[tuple[str, str]]:
    return [(job.queue, job.id) for job in jobs.promote(session, subject_id)]
