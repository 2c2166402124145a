"""The audit log as admins read it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry import paging
from registry.db import now
from registry.tables import AuditEvent


@dataclass(frozen=True)
class Filters:
    """Which entries: those that meet all that is given."""

    actor: str | None = None
    owner: str | None = None
    action: str | None = None
    subject: str | None = None
    request_id: str | None = None
    after: datetime | None = None
    before: datetime | None = None


def note(session: Session, actor: str, action: str, subject: str, **data: object) -> None:
    """Adds an entry in the caller's transaction."""
    session.add(AuditEvent(at=now(session), actor=actor, action=action, subject=subject, data=dict(data)))


def page(session: Session, filters: Filters, *, limit: int = 50, cursor: str | None = None) -> paging.Page[AuditEvent]:
    """Entries, newest first."""
    query = select(AuditEvent)
    for name in ("actor", "owner", "action", "subject", "request_id"):
        wanted = getattr(filters, name)
        if wanted is not None:
            query = query.where(getattr(AuditEvent, name) == wanted)
    if filters.after is not None:
        query = query.where(AuditEvent.at > filters.after)
    if filters.before is not None:
        query = query.where(AuditEvent.at < filters.before)
    return paging.page_of(session, query, AuditEvent.id, limit=limit, cursor=cursor)
