"""When a job has to be done, and what becomes of one that is not."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry import lifecycle
from registry.db import now
from registry.errors import DeadlinePassed
from registry.lifecycle import JobStatus
from registry.tables import Job


def check(deadline: datetime | None, at: datetime) -> None:
    """Raises `DeadlinePassed` where there is no time left."""
    if deadline is not None and deadline <= at:
        raise DeadlinePassed(f"The deadline {deadline:%Y-%m-%dT%H:%M:%SZ} has passed.", pointer="/deadline")


def start(job: Job, at: datetime) -> None:
    """From its first start on, the job's own seconds count, too."""
    if job.started_at is None and job.max_seconds is not None:
        end = at + timedelta(seconds=job.max_seconds)
        job.expires_at = end if job.deadline is None else min(job.deadline, end)


def passed(job: Job, at: datetime) -> bool:
    """Whether the job's time is over."""
    return job.expires_at is not None and job.expires_at <= at


def error_of(job: Job) -> dict[str, Any]:
    """Why the job has expired."""
    by_seconds = job.max_seconds is not None and (job.deadline is None or job.expires_at != job.deadline)
    words = f"The job's {job.max_seconds:g} seconds are over." if by_seconds else "The deadline has passed."
    hint = "Retry it with more time: it goes on from its last checkpoint."
    return {"code": "deadline_passed", "message": words, "hint": hint, "retryable": False, "class": "user"}


def expire_waiting(session: Session) -> None:
    """Ends the jobs that wait and whose time is over; those that run are stopped by their workers."""
    late = select(Job).where(Job.status.in_(lifecycle.WAITING), Job.expires_at <= now(session))
    for job in session.execute(late.with_for_update(skip_locked=True)).scalars().all():
        job.error = {**error_of(job), "attempt": job.attempt, "log": []}
        lifecycle.move(session, job, JobStatus.EXPIRED, actor="registry", error=error_of(job))
