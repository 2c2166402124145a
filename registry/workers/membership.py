"""Registered workers, their heartbeats and drain state, and the lease of the leader.

A worker whose heartbeats stop no longer counts as alive, even if its process is still running.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from registry.db.database import now, require_row, row_count, upsert
from registry.db.job_tables import Attempt, Job
from registry.db.worker_tables import Leader, WorkerRow
from registry.jobs.lifecycle import LEASED


class DrainMode(StrEnum):
    FINISH = "finish"  # stop once the running jobs have finished
    NOW = "now"  # stop the running jobs at a checkpoint


WorkerState = Literal["alive", "draining", "gone"]


class HeldJob(NamedTuple):
    """A job that a worker is working on."""

    worker_id: str | None
    job_id: str
    owner: str
    kind: str
    queue: str
    status: str
    attempt: int
    slots: int
    since: datetime


def register(session: Session, worker_id: str, info: dict[str, Any]) -> None:
    """Register a worker, or record its heartbeat if it is already registered.

    `info` contains name, hostname, pid, version, slots by kind, queues and devices.
    """
    at = now(session)
    upsert(
        session,
        WorkerRow,
        [{"id": worker_id, **info, "started_at": at, "last_seen": at}],
        keys=["id"],
        update=["last_seen"],
    )


def record_heartbeat(
    session: Session, worker_id: str, devices: Sequence[dict[str, Any]] | None = None
) -> bool:
    """Record a worker's heartbeat and, unless `devices` is None, the load of its devices.

    Returns False if the worker's row was pruned. The worker must then register again.
    """
    values: dict[str, Any] = {"last_seen": now(session)}
    if devices is not None:
        values["devices"] = list(devices)
    statement = update(WorkerRow).where(WorkerRow.id == worker_id).values(**values)
    return row_count(session.execute(statement)) > 0


def unregister(session: Session, worker_id: str) -> None:
    """Remove a worker that is shutting down."""
    session.execute(delete(WorkerRow).where(WorkerRow.id == worker_id))


def get_drain_mode(session: Session, worker_id: str) -> DrainMode | None:
    """Return how the worker was asked to drain, or None if it should keep taking jobs."""
    mode = session.execute(
        select(WorkerRow.draining).where(WorkerRow.id == worker_id)
    ).scalar_one_or_none()
    return None if mode is None else DrainMode(mode)


def set_drain_mode(session: Session, worker_id: str, mode: DrainMode | None) -> WorkerRow:
    """Ask a worker to drain.

    If `mode` is None, ask the worker to take jobs again. This has no effect if its process has
    already stopped.
    """
    row = get(session, worker_id)
    row.draining = mode
    return row


def get(session: Session, worker_id: str) -> WorkerRow:
    """Return a worker.

    Raises:
        NotFound: There is no worker with that id, or it has shut down.
    """
    return require_row(session.get(WorkerRow, worker_id), f"worker {worker_id}")


def list_alive(session: Session, *, within: timedelta) -> list[WorkerRow]:
    """List the workers whose last heartbeat is at most `within` old, oldest worker first."""
    query = (
        select(WorkerRow).where(WorkerRow.last_seen > now(session) - within).order_by(WorkerRow.id)
    )
    return list(session.execute(query).scalars())


def list_all(session: Session) -> list[WorkerRow]:
    """List all workers that have not been pruned, oldest first.

    Workers that have stopped sending heartbeats are included.
    """
    return list(session.execute(select(WorkerRow).order_by(WorkerRow.id)).scalars())


def get_state(row: WorkerRow, at: datetime, *, within: timedelta) -> WorkerState:
    """Return a worker's state, which is `gone` if its last heartbeat is older than `within`."""
    if row.last_seen <= at - within:
        return "gone"
    return "draining" if row.draining else "alive"


def list_held_jobs(session: Session, worker_ids: Sequence[str]) -> list[HeldJob]:
    """List the jobs that the workers are working on, oldest attempt first."""
    columns = (
        Job.worker_id,
        Job.id,
        Job.owner,
        Job.kind,
        Job.queue,
        Job.status,
        Job.attempt,
        Job.gpus * Job.processes,
        Attempt.started_at,
    )
    current_attempt = (Attempt.job_id == Job.id) & (Attempt.number == Job.attempt)
    query = (
        select(*columns)
        .join(Attempt, current_attempt)
        .where(Job.worker_id.in_(worker_ids), Job.status.in_(LEASED))
    )
    return [HeldJob(*row) for row in session.execute(query.order_by(Attempt.started_at, Job.id))]


def prune(session: Session, *, silent_for: timedelta) -> None:
    """Delete the rows of workers whose last heartbeat is older than `silent_for`."""
    session.execute(delete(WorkerRow).where(WorkerRow.last_seen < now(session) - silent_for))


def acquire_leadership(session: Session, name: str, holder: str, ttl: timedelta) -> bool:
    """Acquire or renew the role `name` for the duration `ttl`. Return whether `holder` now has it.

    If another process holds the role, `holder` gets it only if that process fails to renew it in
    time.
    """
    at = now(session)
    available = (Leader.name == name) & ((Leader.holder == holder) | (Leader.expires_at <= at))
    renewal = update(Leader).where(available).values(holder=holder, expires_at=at + ttl)
    if row_count(session.execute(renewal)):
        return True
    row = {"name": name, "holder": holder, "expires_at": at + ttl}
    return upsert(session, Leader, [row], keys=["name"]) > 0


def release_leadership(session: Session, name: str, holder: str) -> None:
    """Give up the role `name`, so that another process need not wait for it to expire."""
    session.execute(delete(Leader).where(Leader.name == name, Leader.holder == holder))
