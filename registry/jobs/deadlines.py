"""Deadlines and time limits of jobs, and the expiry of jobs that exceed them."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.db.database import now
from registry.db.job_tables import Job
from registry.errors import DeadlinePassed
from registry.jobs import lifecycle
from registry.jobs.lifecycle import JobStatus
from registry.jobs.retry_policy import FailureClass


def check(deadline: datetime | None, at: datetime) -> None:
    """Verify that the deadline is in the future.

    Raises:
        DeadlinePassed: The deadline is not after `at`.
    """
    if deadline is not None and deadline <= at:
        raise DeadlinePassed(
            f"The deadline {deadline:%Y-%m-%dT%H:%M:%SZ} has passed.", pointer="/deadline"
        )


def start_time_limit(job: Job, at: datetime) -> None:
    """Set the job's expiry time if it has a time limit and this is its first start."""
    if job.started_at is None and job.max_seconds is not None:
        end = at + timedelta(seconds=job.max_seconds)
        job.expires_at = end if job.deadline is None else min(job.deadline, end)


def is_expired(job: Job, at: datetime) -> bool:
    """Return whether the job's deadline or time limit has passed."""
    return job.expires_at is not None and job.expires_at <= at


def expiry_error(job: Job) -> dict[str, Any]:
    """Return the error that explains why the job expired."""
    is_time_limit = job.max_seconds is not None and (
        job.deadline is None or job.expires_at != job.deadline
    )
    message = (
        f"The job exceeded its limit of {job.max_seconds:g} seconds."
        if is_time_limit
        else "The job's deadline has passed."
    )
    return {
        "code": DeadlinePassed.code,
        "message": message,
        "hint": "Retry the job with more time. It continues from its last checkpoint.",
        "retryable": False,
        "class": FailureClass.USER,
    }


def expire_waiting(session: Session) -> None:
    """Expire waiting jobs whose deadline or time limit has passed.

    Running jobs are stopped by their workers.
    """
    overdue = select(Job).where(Job.status.in_(lifecycle.WAITING), Job.expires_at <= now(session))
    for job in session.execute(overdue.with_for_update(skip_locked=True)).scalars().all():
        error = expiry_error(job)
        lifecycle.set_error(job, error)
        lifecycle.transition(session, job, JobStatus.EXPIRED, actor="registry", error=error)
