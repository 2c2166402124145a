"""Trainer logs: the lines that trainers write to standard error, stored with their job."""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from registry.db.database import filter_equal, now
from registry.db.job_tables import Job, LogLine

MAX_LINES = 10_000  # per job; beyond this number, the oldest lines are deleted
MAX_LINE_LENGTH = 2000


def append(session: Session, job: Job, lines: Sequence[str]) -> None:
    """Append lines of the running attempt to the job's log. The caller must have locked the job."""
    if not lines:
        return
    at, first = now(session), job.last_log + 1
    rows = [
        {
            "job_id": job.id,
            "seq": first + index,
            "attempt": job.attempt,
            "at": at,
            "line": line[:MAX_LINE_LENGTH],
        }
        for index, line in enumerate(lines)
    ]
    session.execute(insert(LogLine), rows)
    job.last_log += len(rows)
    if job.last_log > MAX_LINES:
        session.execute(
            delete(LogLine).where(LogLine.job_id == job.id, LogLine.seq <= job.last_log - MAX_LINES)
        )


def list_lines(
    session: Session, job_id: str, *, after: int = 0, limit: int = 1000, attempt: int | None = None
) -> list[LogLine]:
    """Return the log lines numbered above `after`, oldest first."""
    lines = filter_equal(select(LogLine), (LogLine.job_id, job_id), (LogLine.attempt, attempt))
    newer = lines.where(LogLine.seq > after)
    limited = newer.order_by(LogLine.seq).limit(max(1, min(limit, MAX_LINES)))
    return list(session.execute(limited).scalars())


def list_last_lines(
    session: Session, job_id: str, count: int, *, attempt: int | None = None
) -> list[LogLine]:
    """Return the last `count` log lines, oldest first."""
    lines = filter_equal(select(LogLine), (LogLine.job_id, job_id), (LogLine.attempt, attempt))
    newest = lines.order_by(LogLine.seq.desc()).limit(max(0, min(count, MAX_LINES)))
    return list(session.execute(newest).scalars())[::-1]
