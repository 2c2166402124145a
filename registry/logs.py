"""What trainers wrote to their standard error, kept line by line with the job."""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from registry.db import now
from registry.tables import Job, LogLine

KEPT_LINES = 10_000  # of each job: the newest
LINE_LENGTH = 2000


def append(session: Session, job: Job, lines: Sequence[str]) -> None:
    """Adds lines of the running attempt; the caller holds the job."""
    if not lines:
        return
    at, first = now(session), job.last_log + 1
    rows = [
        {"job_id": job.id, "seq": first + place, "attempt": job.attempt, "at": at, "line": line[:LINE_LENGTH]}
        for place, line in enumerate(lines)
    ]
    session.execute(insert(LogLine), rows)
    job.last_log += len(rows)
    if job.last_log > KEPT_LINES:
        session.execute(delete(LogLine).where(LogLine.job_id == job.id, LogLine.seq <= job.last_log - KEPT_LINES))


def page(session: Session, job_id: str, *, after: int = 0, limit: int = 1000, attempt: int | None = None) -> list[LogLine]:
    """The lines after that number, oldest first; of one attempt where it is given."""
    query = select(LogLine).where(LogLine.job_id == job_id, LogLine.seq > after)
    if attempt is not None:
        query = query.where(LogLine.attempt == attempt)
    return list(session.execute(query.order_by(LogLine.seq).limit(max(1, min(limit, KEPT_LINES)))).scalars())


def tail(session: Session, job_id: str, count: int, *, attempt: int | None = None) -> list[LogLine]:
    """The last lines, oldest first."""
    query = select(LogLine).where(LogLine.job_id == job_id)
    if attempt is not None:
        query = query.where(LogLine.attempt == attempt)
    newest = query.order_by(LogLine.seq.desc()).limit(max(0, min(count, KEPT_LINES)))
    return list(session.execute(newest).scalars())[::-1]
