"""The life of a job: one enum, one table of allowed moves, one function that makes them.

validating -> queued -> starting -> running -> exporting -> succeeded
waiting or running -> failed | cancelled | expired;  running -> pausing -> paused -> queued
running -> cancelling -> cancelled;                  a lost lease -> queued or failed
failed | cancelled | expired -> queued               by a retry alone
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy.orm import Session

from registry import outbox
from registry.db import now
from registry.errors import MoveRefused
from registry.tables import AuditEvent, Job, JobEvent


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
_ENDS_OF_WORK = frozenset({_S.QUEUED, _S.FAILED, _S.CANCELLING, _S.EXPIRED})
_RETRIED = frozenset({_S.VALIDATING, _S.QUEUED})

MOVES: dict[JobStatus, frozenset[JobStatus]] = {
    _S.VALIDATING: frozenset({_S.QUEUED, _S.FAILED, _S.CANCELLED, _S.EXPIRED}),
    _S.QUEUED: frozenset({_S.STARTING, _S.PAUSED, _S.FAILED, _S.CANCELLED, _S.EXPIRED}),
    _S.STARTING: _ENDS_OF_WORK | {_S.RUNNING, _S.PAUSING},
    _S.RUNNING: _ENDS_OF_WORK | {_S.EXPORTING, _S.SUCCEEDED, _S.PAUSING},
    _S.EXPORTING: _ENDS_OF_WORK | {_S.SUCCEEDED},
    _S.CANCELLING: frozenset({_S.CANCELLED}),
    # A trainer may finish or fail before it hears of the pause, and the client may change its mind.
    _S.PAUSING: frozenset({_S.PAUSED, _S.RUNNING, _S.SUCCEEDED, _S.FAILED, _S.CANCELLING, _S.EXPIRED}),
    _S.PAUSED: frozenset({_S.QUEUED, _S.CANCELLED, _S.EXPIRED}),
    _S.SUCCEEDED: frozenset(),
    _S.FAILED: _RETRIED,
    _S.CANCELLED: _RETRIED,
    _S.EXPIRED: _RETRIED,
}
TERMINAL = frozenset({_S.SUCCEEDED, _S.FAILED, _S.CANCELLED, _S.EXPIRED})  # nothing but a client's retry leads out
WORKING = frozenset({_S.STARTING, _S.RUNNING, _S.EXPORTING})
LEASED = WORKING | {_S.CANCELLING, _S.PAUSING}  # some attempt holds the job
WAITING = frozenset({_S.VALIDATING, _S.QUEUED, _S.PAUSED})


def move(session: Session, job: Job, to: JobStatus, *, actor: str, **facts: Any) -> None:
    """Moves the job, with its event and audit row in the same transaction; `MoveRefused` where the table has no such move.

    `actor` is the worker, key or part of the service that does it; `facts` go into both rows.
    """
    if to not in MOVES[JobStatus(job.status)]:
        raise MoveRefused(f"A job that is {job.status} cannot become {to}.")
    at = now(session)
    data = {"from": job.status, "to": str(to), **facts}
    _stamp(job, to, at)
    job.status = to
    add_event(session, job, "status", data, at=at)
    session.add(AuditEvent(at=at, actor=actor, action=f"job.{to}", subject=job.id, data=data))
    outbox.tell(session, job)


def begin(session: Session, job: Job, *, actor: str) -> None:
    """Adds a job in the state that it has, with the first of its events."""
    data = {"from": None, "to": job.status}
    session.add(job)
    session.flush()
    add_event(session, job, "status", data, at=job.created_at)
    session.add(AuditEvent(at=job.created_at, actor=actor, action="job.created", subject=job.id, data={**data, "kind": job.kind}))
    outbox.tell(session, job)


def add_event(session: Session, job: Job, kind: str, data: dict[str, Any], *, at: datetime | None = None) -> None:
    """Appends an event to the job's list, numbered after the last."""
    job.last_event += 1
    session.add(JobEvent(job_id=job.id, seq=job.last_event, attempt=job.attempt, at=at or now(session), type=kind, data=data))


def _stamp(job: Job, to: JobStatus, at: datetime) -> None:
    if to is JobStatus.STARTING and job.started_at is None:
        job.started_at = at
    job.finished_at = at if to in TERMINAL else None
    if to not in LEASED:
        job.worker_id = job.lease_until = None
