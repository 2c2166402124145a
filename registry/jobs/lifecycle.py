"""Life cycle of a job: its statuses, the allowed transitions and `transition`.

validating -> queued -> starting -> running -> exporting -> succeeded
waiting or running -> failed | cancelled | expired
running -> pausing -> paused -> queued
running -> cancelling -> cancelled
lost lease -> queued or failed
failed | cancelled | expired -> validating or queued (only by a retry)
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy.orm import Session

from registry.access import audit
from registry.db.database import now
from registry.db.job_tables import Job, JobEvent
from registry.errors import TransitionRefused
from registry.jobs.job_enums import JobEventType
from registry.webhooks import outbox


class JobStatus(StrEnum):
    VALIDATING = "validating"
    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    EXPORTING = "exporting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    CANCELLING = "cancelling"
    PAUSING = "pausing"
    PAUSED = "paused"


_S = JobStatus
_WORK_EXITS = frozenset({_S.QUEUED, _S.FAILED, _S.CANCELLING, _S.EXPIRED})
_RETRY_TARGETS = frozenset({_S.VALIDATING, _S.QUEUED})

TRANSITIONS: dict[JobStatus, frozenset[JobStatus]] = {
    _S.VALIDATING: frozenset({_S.QUEUED, _S.FAILED, _S.CANCELLED, _S.EXPIRED}),
    _S.QUEUED: frozenset({_S.STARTING, _S.PAUSED, _S.FAILED, _S.CANCELLED, _S.EXPIRED}),
    _S.STARTING: _WORK_EXITS | {_S.RUNNING, _S.PAUSING},
    _S.RUNNING: _WORK_EXITS | {_S.EXPORTING, _S.SUCCEEDED, _S.PAUSING},
    _S.EXPORTING: _WORK_EXITS | {_S.SUCCEEDED},
    _S.CANCELLING: frozenset({_S.CANCELLED}),
    # The trainer may finish or fail before it receives the request to pause. A client may also
    # resume the job.
    _S.PAUSING: frozenset(
        {_S.PAUSED, _S.RUNNING, _S.SUCCEEDED, _S.FAILED, _S.CANCELLING, _S.EXPIRED}
    ),
    _S.PAUSED: frozenset({_S.QUEUED, _S.CANCELLED, _S.EXPIRED}),
    _S.SUCCEEDED: frozenset(),
    _S.FAILED: _RETRY_TARGETS,
    _S.CANCELLED: _RETRY_TARGETS,
    _S.EXPIRED: _RETRY_TARGETS,
}
TERMINAL = frozenset({_S.SUCCEEDED, _S.FAILED, _S.CANCELLED, _S.EXPIRED})
ACTIVE = frozenset({_S.STARTING, _S.RUNNING, _S.EXPORTING})
LEASED = ACTIVE | {_S.CANCELLING, _S.PAUSING}  # an attempt holds the job
WAITING = frozenset({_S.VALIDATING, _S.QUEUED, _S.PAUSED})


def transition(session: Session, job: Job, to: JobStatus, *, actor: str, **event_data: Any) -> None:
    """Change the job's status, and write the event, audit entry and webhook deliveries.

    Args:
        session: The caller's transaction.
        job: The job, locked by the caller.
        to: The new status.
        actor: The worker, API key or service component that makes the change.
        **event_data: Additional data for the event and the audit entry.

    Raises:
        TransitionRefused: `TRANSITIONS` does not allow this change.
    """
    if to not in TRANSITIONS[JobStatus(job.status)]:
        raise TransitionRefused(f"A job that is {job.status} cannot become {to}.")
    at = now(session)
    data = {"from": job.status, "to": str(to), **event_data}
    _set_timestamps(job, to, at)
    job.status = to
    add_event(session, job, JobEventType.STATUS, data, at=at)
    audit.record_event_at(session, at, actor, f"job.{to}", job.id, data)
    outbox.enqueue_job_event(session, job)


def add_job(session: Session, job: Job, *, actor: str) -> None:
    """Add a job with its initial status, and write its first event."""
    data = {"from": None, "to": job.status}
    session.add(job)
    session.flush()
    add_event(session, job, JobEventType.STATUS, data, at=job.created_at)
    audit.record_event_at(
        session, job.created_at, actor, "job.created", job.id, {**data, "kind": job.kind}
    )
    outbox.enqueue_job_event(session, job)


def add_event(
    session: Session, job: Job, event_type: str, data: dict[str, Any], *, at: datetime | None = None
) -> None:
    """Add an event to the job's history."""
    job.last_event += 1
    session.add(
        JobEvent(
            job_id=job.id,
            seq=job.last_event,
            attempt=job.attempt,
            at=at or now(session),
            type=event_type,
            data=data,
        )
    )


def set_error(job: Job, error: dict[str, Any], log: list[str] | None = None) -> None:
    """Store the error that ends the job, with the attempt's number and last log lines."""
    job.error = {**error, "attempt": job.attempt, "log": log or []}


def _set_timestamps(job: Job, to: JobStatus, at: datetime) -> None:
    if to is JobStatus.STARTING and job.started_at is None:
        job.started_at = at
    job.finished_at = at if to in TERMINAL else None
    if to not in LEASED:
        job.worker_id = job.lease_until = None
