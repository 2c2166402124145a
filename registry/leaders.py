"""One of many: who does what only one may do at a time, held by a row that runs out."""

from datetime import timedelta

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from registry.db import now, rows_of, upsert
from registry.tables import Leader


def lead(session: Session, name: str, holder: str, ttl: timedelta) -> bool:
    """Whether `holder` leads from now for `ttl`: it did before, nobody did, or the one who did fell silent."""
    at = now(session)
    free = (Leader.name == name) & ((Leader.holder == holder) | (Leader.expires_at <= at))
    if rows_of(session.execute(update(Leader).where(free).values(holder=holder, expires_at=at + ttl))):
        return True
    return upsert(session, Leader, [{"name": name, "holder": holder, "expires_at": at + ttl}], keys=["name"]) > 0


def resign(session: Session, name: str, holder: str) -> None:
    """Lets the next one lead without waiting for the row to run out."""
    session.execute(delete(Leader).where(Leader.name == name, Leader.holder == holder))
