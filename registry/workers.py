"""Which workers there are. A worker is alive while it is heard of: that a process exists says nothing."""

from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from registry.db import now, rows_of, upsert
from registry.tables import WorkerRow


def announce(session: Session, worker_id: str, facts: dict[str, Any]) -> None:
    """Notes that a worker is there: `facts` are name, hostname, pid, slots by queue, and devices."""
    at = now(session)
    upsert(session, WorkerRow, [{"id": worker_id, **facts, "started_at": at, "last_seen": at}], keys=["id"], update=["last_seen"])


def seen(session: Session, worker_id: str) -> bool:
    """Notes that the worker lives; False where its row was pruned and it must announce itself again."""
    return rows_of(session.execute(update(WorkerRow).where(WorkerRow.id == worker_id).values(last_seen=now(session)))) > 0


def leave(session: Session, worker_id: str) -> None:
    """The worker shuts down."""
    session.execute(delete(WorkerRow).where(WorkerRow.id == worker_id))


def alive(session: Session, *, within: timedelta) -> list[WorkerRow]:
    """The workers heard of lately, oldest first."""
    return list(
        session.execute(select(WorkerRow).where(WorkerRow.last_seen > now(session) - within).order_by(WorkerRow.id)).scalars()
    )


def prune(session: Session, *, silent: timedelta) -> None:
    """Forgets workers that have been silent for long."""
    session.execute(delete(WorkerRow).where(WorkerRow.last_seen < now(session) - silent))
