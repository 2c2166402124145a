"""How an attempt ends and what follows from it: for the job, and for the upload that a check was about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from dlkd_core.errors import CheckpointCorrupt
from registry import datasets, deadlines, failures, jobs, lifecycle, logs, quotas, teachers, trials
from registry.db import now
from registry.lifecycle import JobStatus
from registry.store import Stored
from registry.tables import Attempt, Dataset, Job, Model, Teacher

LOG_LINES = 100
MAX_PAUSE = timedelta(minutes=10)
STOPPED = {  # what a client's wish makes of an attempt that has stopped, and of its job
    JobStatus.CANCELLING: ("cancelled", JobStatus.CANCELLED),
    JobStatus.PAUSING: ("paused", JobStatus.PAUSED),
}


@dataclass(frozen=True)
class Settled:
    """What is left to do after the commit: hints to send as (queue, job id), and files that may have to be forgotten."""

    hints: list[tuple[str, str]] = field(default_factory=list)
    forget: list[str] = field(default_factory=list)


def end(session: Session, job: Job, outcome: str, *, to: JobStatus, error: dict[str, Any] | None = None, **facts: Any) -> None:
    """Closes the running attempt with its outcome and moves the job."""
    actor = job.worker_id or "registry"
    attempt = session.get_one(Attempt, (job.id, job.attempt))
    at = now(session)
    attempt.status, attempt.error, attempt.finished_at = outcome, error, at
    quotas.note_use(session, job, attempt, at)
    if error is not None:
        facts["error"] = error
    lifecycle.move(session, job, to, actor=actor, attempt=job.attempt, outcome=outcome, **facts)


def expire(session: Session, job: Job) -> None:
    """Ends the attempt and the job because its time is over; a cancel that came before is heeded."""
    if job.status == JobStatus.CANCELLING:
        end(session, job, "cancelled", to=JobStatus.CANCELLED)
        return
    error = deadlines.error_of(job)
    _keep_error(session, job, error)
    end(session, job, "expired", to=JobStatus.EXPIRED, error=error)


def attempt_failed(
    session: Session, job: Job, error: dict[str, Any], *, log_tail: Sequence[str], retry_after: timedelta, outcome: str = "failed"
) -> Settled:
    """Ends the attempt with an error, and the job where trying again would not help or was tried often enough."""
    attempt, error = session.get_one(Attempt, (job.id, job.attempt)), failures.classed(error)
    attempt.log_tail = list(log_tail)[-LOG_LINES:] or _kept_log(session, job)
    if job.status == JobStatus.CANCELLING:
        end(session, job, "cancelled", to=JobStatus.CANCELLED, error=error)
        return Settled()
    failures.count(job, attempt, error)
    if error["code"] == CheckpointCorrupt.code:
        job.checkpoint_key = job.checkpoint_step = None  # the next attempt starts from the beginning
    final = failures.final(job, error)
    if final is not None:
        _keep_error(session, job, final)
        end(session, job, outcome, to=JobStatus.FAILED, error=final)
        return settle_invalid(session, job, final)
    if deadlines.passed(job, now(session)):
        expire(session, job)
        return Settled()
    end(session, job, outcome, to=JobStatus.PAUSED if job.status == JobStatus.PAUSING else JobStatus.QUEUED, error=error)
    job.not_before = now(session) + min(retry_after * 2 ** max(job.spent - 1, 0), MAX_PAUSE)
    return Settled()


def _keep_error(session: Session, job: Job, error: dict[str, Any]) -> None:
    attempt = session.get_one(Attempt, (job.id, job.attempt))
    if attempt.log_tail is None:
        attempt.log_tail = _kept_log(session, job)
    job.error = {**error, "attempt": job.attempt, "log": attempt.log_tail}


def _kept_log(session: Session, job: Job) -> list[str]:
    return [row.line for row in logs.tail(session, job.id, LOG_LINES, attempt=job.attempt)]


def settle_ready(session: Session, job: Job, report: dict[str, Any], files: Mapping[str, Stored]) -> Settled:
    """After a check that found nothing wrong."""
    subject = _subject(session, job)
    if isinstance(subject, Dataset):
        datasets.set_ready(subject, report, files)
    elif isinstance(subject, Teacher):
        teachers.set_ready(subject, report)
    elif isinstance(subject, Model):
        trials.passed(subject, report)
    session.flush()
    return Settled(hints=_promoted(session, job.subject_id))


def settle_invalid(session: Session, job: Job, error: dict[str, Any]) -> Settled:
    """After a check that failed for good; nothing for other jobs."""
    subject = _subject(session, job)
    if subject is None:
        return Settled()
    public = {name: error.get(name) for name in ("code", "message", "hint")}
    if isinstance(subject, Model):
        trials.failed(subject, public)
        return Settled()
    if isinstance(subject, Dataset):
        datasets.set_invalid(subject, public)
    else:
        teachers.set_invalid(subject, public)
    session.flush()
    return Settled(hints=_promoted(session, job.subject_id), forget=[subject.sha256])


def _subject(session: Session, job: Job) -> Dataset | Teacher | Model | None:
    if job.kind == "check_dataset":
        return session.get_one(Dataset, job.subject_id)
    if job.kind == trials.KIND:
        return session.get(Model, job.subject_id)  # it may have been deleted meanwhile
    return session.get_one(Teacher, job.subject_id) if job.kind == "check_teacher" else None


def _promoted(session: Session, subject_id: str | None) -> list[tuple[str, str]]:
    return [(job.queue, job.id) for job in jobs.promote(session, subject_id)]
