"""The audit log. It records every change, and admins can read it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.db import pagination
from registry.db.access_tables import AuditEvent
from registry.db.database import filter_equal, now


@dataclass(frozen=True)
class AuditFilters:
    """Filters for the audit log. An entry must match every filter that is set."""

    actor: str | None = None
    owner: str | None = None
    action: str | None = None
    subject: str | None = None
    request_id: str | None = None
    after: datetime | None = None
    before: datetime | None = None


def record_event(session: Session, actor: str, action: str, subject: str, **data: object) -> None:
    """Add an audit entry in the caller's transaction."""
    record_event_at(session, now(session), actor, action, subject, data)


def record_event_at(
    session: Session, at: datetime, actor: str, action: str, subject: str, data: dict[str, Any]
) -> None:
    """Add an audit entry with a given time, for callers that also store this time elsewhere."""
    session.add(AuditEvent(at=at, actor=actor, action=action, subject=subject, data=data))


def list_page(
    session: Session, filters: AuditFilters, *, limit: int = 50, cursor: str | None = None
) -> pagination.Page[AuditEvent]:
    """Return a page of audit entries, newest first."""
    query = filter_equal(
        select(AuditEvent),
        (AuditEvent.actor, filters.actor),
        (AuditEvent.owner, filters.owner),
        (AuditEvent.action, filters.action),
        (AuditEvent.subject, filters.subject),
        (AuditEvent.request_id, filters.request_id),
    )
    if filters.after is not None:
        query = query.where(AuditEvent.at > filters.after)
    if filters.before is not None:
        query = query.where(AuditEvent.at < filters.before)
    return pagination.paginate(session, query, AuditEvent.id, limit=limit, cursor=cursor)
