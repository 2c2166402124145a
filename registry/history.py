"""What was told of jobs while they ran: kept for as long as the operator wishes."""

from datetime import timedelta

from sqlalchemy import delete, exists, or_, select
from sqlalchemy.orm import Session

from registry import lifecycle
from registry.db import now
from registry.tables import Job, JobEvent, LogLine, Metric

_TABLES = (JobEvent, Metric, LogLine)


def prune(session: Session, *, kept: timedelta, limit: int = 20) -> list[str]:
    """Deletes events, metrics and log of some jobs that ended so long ago; returns their ids. The jobs themselves stay."""
    any_left = or_(*(exists().where(table.job_id == Job.id) for table in _TABLES))
    old = select(Job.id).where(Job.status.in_(lifecycle.TERMINAL), Job.finished_at <= now(session) - kept, any_left)
    found = list(session.execute(old.limit(limit).with_for_update(skip_locked=True)).scalars())
    for table in _TABLES:
        session.execute(delete(table).where(table.job_id.in_(found)))
    return found
