"""Statistics of the service.

They are computed from the database, so that every process reports the same values.
"""

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

from registry.db.database import now
from registry.db.input_tables import Artifact
from registry.db.job_tables import Attempt, Job, JobEvent
from registry.db.worker_tables import Leader
from registry.jobs.job_enums import JobEventType
from registry.jobs.lifecycle import LEASED, JobStatus
from registry.jobs.queue_names import slot_kind
from registry.workers import membership

# Upper bounds in seconds.
DURATION_BUCKETS = (
    1.0,
    10.0,
    60.0,
    300.0,
    1800.0,
    3600.0,
    4 * 3600.0,
    12 * 3600.0,
    48 * 3600.0,
)


@dataclass(frozen=True)
class DurationHistogram:
    """Histogram of the durations of ended jobs that have the same kind and status.

    `bucket_counts` are cumulative: the count at each index includes all jobs whose duration is at
    most the bound at the same index in `DURATION_BUCKETS`. `seconds` is the sum of all durations.
    """

    kind: str
    status: str
    bucket_counts: tuple[int, ...]
    count: int
    seconds: float


@dataclass(frozen=True)
class ServiceStats:
    """Statistics of the service. Slots are counted by kind: train or checks."""

    jobs: dict[tuple[str, str], int]  # by queue and status
    oldest_queued_seconds: dict[str, float]  # by queue
    overdue_leases: int
    attempts: dict[str, int]  # by outcome
    durations: list[DurationHistogram]
    workers: int
    has_leader: bool
    slots: dict[str, int]
    free_slots: dict[str, int]
    artifacts: int
    artifact_bytes: int


class _SecondsBetween(FunctionElement[float]):
    """SQL function that returns the number of seconds between two times."""

    type = Float()
    inherit_cache = True


@compiles(_SecondsBetween, "sqlite")
def _compile_seconds_sqlite(element: _SecondsBetween, compiler: SQLCompiler, **options: Any) -> str:
    since, until = (compiler.process(clause, **options) for clause in element.clauses)
    return f"(julianday({until}) - julianday({since})) * 86400"


@compiles(_SecondsBetween, "postgresql")
def _compile_seconds_postgresql(
    element: _SecondsBetween, compiler: SQLCompiler, **options: Any
) -> str:
    since, until = (compiler.process(clause, **options) for clause in element.clauses)
    return f"extract(epoch FROM {until} - {since})"


def collect_service_stats(session: Session, *, alive_within: timedelta) -> ServiceStats:
    """Collect the statistics of the service.

    Only workers whose last heartbeat is at most `alive_within` old are counted.
    """
    jobs = session.execute(
        select(Job.queue, Job.status, func.count()).group_by(Job.queue, Job.status)
    ).all()
    overdue = select(func.count()).where(Job.status.in_(LEASED), Job.lease_until < now(session))
    stored = session.execute(
        select(func.count(), func.coalesce(func.sum(Artifact.size), 0)).select_from(Artifact)
    ).one()
    outcomes = session.execute(select(Attempt.status, func.count()).group_by(Attempt.status)).all()
    leaders = select(func.count()).select_from(Leader).where(Leader.expires_at > now(session))
    workers, slots, free_slots = _count_slots(session, alive_within)
    return ServiceStats(
        jobs={(queue, status): count for queue, status, count in jobs},
        oldest_queued_seconds=oldest_queued_seconds(session),
        overdue_leases=session.execute(overdue).scalar_one(),
        attempts={status: count for status, count in outcomes},  # noqa: C416 - mypy does not accept rows as pairs
        durations=_collect_durations(session),
        workers=workers,
        has_leader=session.execute(leaders).scalar_one() > 0,
        slots=slots,
        free_slots=free_slots,
        artifacts=stored[0],
        artifact_bytes=int(stored[1]),
    )


def oldest_queued_seconds(session: Session) -> dict[str, float]:
    """Return for each queue how many seconds its oldest queued job has been waiting.

    Waiting begins at the last change of status or, if a retry is delayed, at the end of the delay.
    """
    at = now(session)
    queued_since = (
        select(func.max(JobEvent.at))
        .where(JobEvent.job_id == Job.id, JobEvent.type == JobEventType.STATUS)
        .scalar_subquery()
    )
    queued = select(Job.queue, Job.not_before, queued_since).where(Job.status == JobStatus.QUEUED)
    longest: dict[str, float] = {}
    for queue, not_before, since in session.execute(queued):
        seconds = (at - max(since, not_before or since)).total_seconds()
        if seconds >= 0:
            longest[queue] = max(seconds, longest.get(queue, 0.0))
    return longest


def _collect_durations(session: Session) -> list[DurationHistogram]:
    seconds = _SecondsBetween(Job.started_at, Job.finished_at)
    bucket_columns: Sequence[ColumnElement[Any]] = [
        func.sum(case((seconds <= bound, 1), else_=0)) for bound in DURATION_BUCKETS
    ]
    query = (
        select(Job.kind, Job.status, func.count(), func.sum(seconds), *bucket_columns)
        .where(Job.finished_at.is_not(None), Job.started_at.is_not(None))
        .group_by(Job.kind, Job.status)
    )
    return [
        DurationHistogram(
            kind=kind,
            status=status,
            bucket_counts=tuple(map(int, bucket_counts)),
            count=count,
            seconds=max(0.0, float(total)),
        )
        for kind, status, count, total, *bucket_counts in session.execute(query).all()
    ]


def _count_slots(
    session: Session, alive_within: timedelta
) -> tuple[int, dict[str, int], dict[str, int]]:
    """Return the number of live workers, their slots by kind, and their free slots by kind."""
    workers = membership.list_alive(session, within=alive_within)
    slots: Counter[str] = Counter()
    for row in workers:
        slots.update(row.slots)
    busy_query = (
        select(Job.queue, func.sum(Job.gpus * Job.processes))
        .where(Job.status.in_(LEASED), Job.worker_id.in_([row.id for row in workers]))
        .group_by(Job.queue)
    )
    busy: Counter[str] = Counter()
    for queue, count in session.execute(busy_query):
        busy[slot_kind(queue)] += count
    free_slots = {kind: max(0, count - busy[kind]) for kind, count in slots.items()}
    return len(workers), dict(slots), free_slots
