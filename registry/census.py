"""The service in numbers, counted in the rows: every process that is asked tells the same."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Float

from registry import workers
from registry.db import now
from registry.lifecycle import LEASED, JobStatus
from registry.offers import slot_of
from registry.tables import Artifact, Attempt, Job, JobEvent, Leader

DURATIONS = (1.0, 10.0, 60.0, 300.0, 1800.0, 3600.0, 4 * 3600.0, 12 * 3600.0, 48 * 3600.0)  # seconds


@dataclass(frozen=True)
class Durations:
    """Of ended jobs of one kind and outcome: how many took at most each of `DURATIONS`, how many in all, and their sum."""

    kind: str
    status: str
    within: tuple[int, ...]
    count: int
    seconds: float


@dataclass(frozen=True)
class Census:
    """How many of everything. Slots are counted by what they work on: training or checks."""

    jobs: dict[tuple[str, str], int]  # by queue and status
    oldest: dict[str, float]  # seconds that the job which waits longest has waited, by queue
    overdue: int
    attempts: dict[str, int]  # by outcome
    durations: list[Durations]
    workers: int
    led: bool
    slots: dict[str, int]
    free: dict[str, int]
    artifacts: int
    artifact_bytes: int


class _Seconds(FunctionElement[float]):
    """Between two moments."""

    type = Float()
    inherit_cache = True


@compiles(_Seconds, "sqlite")
def _seconds_of_sqlite(element: _Seconds, compiler: SQLCompiler, **options: Any) -> str:
    since, until = (compiler.process(clause, **options) for clause in element.clauses)
    return f"(julianday({until}) - julianday({since})) * 86400"


@compiles(_Seconds, "postgresql")
def _seconds_of_postgresql(element: _Seconds, compiler: SQLCompiler, **options: Any) -> str:
    since, until = (compiler.process(clause, **options) for clause in element.clauses)
    return f"extract(epoch FROM {until} - {since})"


def take(session: Session, *, alive: timedelta) -> Census:
    """Counts. `alive`: a worker that was heard of within that time works."""
    jobs = session.execute(select(Job.queue, Job.status, func.count()).group_by(Job.queue, Job.status)).all()
    overdue = select(func.count()).where(Job.status.in_(LEASED), Job.lease_until < now(session))
    stored = session.execute(select(func.count(), func.coalesce(func.sum(Artifact.size), 0)).select_from(Artifact)).one()
    outcomes = session.execute(select(Attempt.status, func.count()).group_by(Attempt.status)).all()
    leaders = select(func.count()).select_from(Leader).where(Leader.expires_at > now(session))
    living, slots, free = _slots(session, alive)
    return Census(
        jobs={(queue, status): count for queue, status, count in jobs},
        oldest=oldest(session),
        overdue=session.execute(overdue).scalar_one(),
        attempts={status: count for status, count in outcomes},  # noqa: C416 - rows are no pairs for mypy
        durations=_durations(session),
        workers=living,
        led=session.execute(leaders).scalar_one() > 0,
        slots=slots,
        free=free,
        artifacts=stored[0],
        artifact_bytes=int(stored[1]),
    )


def oldest(session: Session) -> dict[str, float]:
    """For how many seconds the job that waits longest has waited, by queue.

    A queued job waits since its last change of status, and not yet where it is to be tried later.
    """
    at = now(session)
    changed = select(func.max(JobEvent.at)).where(JobEvent.job_id == Job.id, JobEvent.type == "status").scalar_subquery()
    waiting = select(Job.queue, Job.not_before, changed).where(Job.status == JobStatus.QUEUED)
    longest: dict[str, float] = {}
    for queue, not_before, since in session.execute(waiting):
        seconds = (at - max(since, not_before or since)).total_seconds()
        if seconds >= 0:
            longest[queue] = max(seconds, longest.get(queue, 0.0))
    return longest


def _durations(session: Session) -> list[Durations]:
    seconds = _Seconds(Job.started_at, Job.finished_at)
    columns: Sequence[ColumnElement[Any]] = [func.sum(case((seconds <= bound, 1), else_=0)) for bound in DURATIONS]
    ended = select(Job.kind, Job.status, func.count(), func.sum(seconds), *columns).where(
        Job.finished_at.is_not(None), Job.started_at.is_not(None)
    )
    rows = session.execute(ended.group_by(Job.kind, Job.status)).all()
    return [Durations(row[0], row[1], tuple(map(int, row[4:])), row[2], max(0.0, float(row[3]))) for row in rows]


def _slots(session: Session, alive: timedelta) -> tuple[int, dict[str, int], dict[str, int]]:
    """Workers that live, their slots, and those of them that hold no job."""
    living = workers.alive(session, within=alive)
    slots: Counter[str] = Counter()
    for row in living:
        slots.update(row.slots)
    held = select(Job.queue, func.sum(Job.gpus * Job.processes)).where(
        Job.status.in_(LEASED), Job.worker_id.in_([row.id for row in living])
    )
    busy: Counter[str] = Counter()
    for queue, count in session.execute(held.group_by(Job.queue)):
        busy[slot_of(queue)] += count
    return len(living), dict(slots), {kind: max(0, count - busy[kind]) for kind, count in slots.items()}
