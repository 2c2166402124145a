"""Which workers there are. A worker is alive while it is heard of: that a process exists says nothing."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from registry.db import now, rows_of, upsert
from registry.errors import NotFound
from registry.lifecycle import LEASED
from registry.tables import Attempt, Job, WorkerRow

Drain = Literal["finish", "now"]
State = Literal["alive", "draining", "gone"]


class Held(NamedTuple):
    """A job that a worker works on."""

    worker_id: str | None
    job_id: str
    owner: str
    kind: str
    queue: str
    status: str
    attempt: int
    slots: int
    since: datetime


def announce(session: Session, worker_id: str, facts: dict[str, Any]) -> None:
    """Notes that a worker is there: `facts` are name, hostname, pid, version, slots by kind, queues, and devices."""
    at = now(session)
    upsert(session, WorkerRow, [{"id": worker_id, **facts, "started_at": at, "last_seen": at}], keys=["id"], update=["last_seen"])


def seen(session: Session, worker_id: str, devices: Sequence[dict[str, Any]] | None = None) -> bool:
    """Notes that the worker lives, and how busy its devices are; False where its row was pruned, to be announced again."""
    news = {"last_seen": now(session)} | ({} if devices is None else {"devices": list(devices)})
    return rows_of(session.execute(update(WorkerRow).where(WorkerRow.id == worker_id).values(**news))) > 0


def leave(session: Session, worker_id: str) -> None:
    """The worker shuts down."""
    session.execute(delete(WorkerRow).where(WorkerRow.id == worker_id))


def draining(session: Session, worker_id: str) -> Drain | None:
    """Whether the worker is to take no new job and to end: once what runs has finished, or now."""
    return session.execute(select(WorkerRow.draining).where(WorkerRow.id == worker_id)).scalar_one_or_none()  # type: ignore[return-value]  # a column knows no literals


def drain(session: Session, worker_id: str, order: Drain | None) -> WorkerRow:
    """Tells a worker to drain, or (None) to take jobs again, which it does unless it has ended by then."""
    row = get(session, worker_id)
    row.draining = order
    return row


def get(session: Session, worker_id: str) -> WorkerRow:
    """The worker of that id, or `NotFound`: one that shut down has no row any more."""
    row = session.get(WorkerRow, worker_id)
    if row is None:
        raise NotFound(f"There is no worker {worker_id}.")
    return row


def alive(session: Session, *, within: timedelta) -> list[WorkerRow]:
    """The workers heard of lately, oldest first."""
    return list(
        session.execute(select(WorkerRow).where(WorkerRow.last_seen > now(session) - within).order_by(WorkerRow.id)).scalars()
    )


def everyone(session: Session) -> list[WorkerRow]:
    """Also those that fell silent, until they are pruned; oldest first."""
    return list(session.execute(select(WorkerRow).order_by(WorkerRow.id)).scalars())


def state(row: WorkerRow, at: datetime, *, within: timedelta) -> State:
    """What it is doing: one that was not heard of `within` that time is gone, whatever it was told."""
    if row.last_seen <= at - within:
        return "gone"
    return "draining" if row.draining else "alive"


def held(session: Session, worker_ids: Sequence[str]) -> list[Held]:
    """The jobs that the workers hold, oldest attempt first."""
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
    attempt = (Attempt.job_id == Job.id) & (Attempt.number == Job.attempt)
    query = select(*columns).join(Attempt, attempt).where(Job.worker_id.in_(worker_ids), Job.status.in_(LEASED))
    return [Held(*row) for row in session.execute(query.order_by(Attempt.started_at, Job.id))]


def prune(session: Session, *, silent: timedelta) -> None:
    """Forgets workers that have been silent for long."""
    session.execute(delete(WorkerRow).where(WorkerRow.last_seen < now(session) - silent))
