"""Queries for jobs: single rows, filtered lists, attempts, events and metrics."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, Select, exists, func, or_, select
from sqlalchemy.orm import Session

from registry.db import pagination
from registry.db.database import filter_equal, lock_row, require_row
from registry.db.job_tables import Attempt, Job, JobEvent, JobLabel, Metric
from registry.errors import LabelInvalid, NotFound
from registry.jobs.job_enums import JobKind
from registry.jobs.lifecycle import JobStatus

_MAX_EVENTS = 1000


@dataclass(frozen=True)
class JobFilters:
    """Filters for a job list.

    A job must match every filter that is set. If `status` is set, the job must have one of these
    statuses. If `labels` is set, it must have all of these labels.
    """

    status: tuple[JobStatus, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    owner: str | None = None
    visible_owner: str | None = None  # the only owner whose jobs the caller may see
    method: str | None = None
    student: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    name: str | None = None
    dataset: str | None = None
    teacher: str | None = None  # id of an uploaded teacher or of a model


def parse_label(text: str) -> tuple[str, str]:
    """Split ``key:value`` into key and value.

    Raises:
        LabelInvalid: The key or the colon is missing.
    """
    key, colon, value = text.partition(":")
    if not (key and colon):
        raise LabelInvalid(f"{text!r} is not a label.")
    return key, value


def get(session: Session, job_id: str) -> Job:
    """Return the training job. Upload checks are not found.

    Raises:
        NotFound: There is no such job.
    """
    job = session.get(Job, job_id)
    if job is None or job.kind != JobKind.DISTILL:
        raise NotFound(f"There is no job {job_id}.")
    return job


def lock(session: Session, job_id: str) -> Job:
    """Return the job, locked until the transaction ends.

    Raises:
        NotFound: There is no such job.
    """
    job = lock_row(session, select(Job).where(Job.id == job_id, Job.kind == JobKind.DISTILL))
    return require_row(job, f"job {job_id}")


def list_page(
    session: Session,
    filters: JobFilters = JobFilters(),
    *,
    limit: int = 50,
    cursor: str | None = None,
) -> pagination.Page[Job]:
    """Return a page of jobs, newest first."""
    return pagination.paginate(session, _filter_jobs(filters), Job.id, limit=limit, cursor=cursor)


def _filter_jobs(filters: JobFilters) -> Select[Job]:
    query = filter_equal(
        select(Job),
        (Job.kind, JobKind.DISTILL),
        (Job.owner, filters.owner),
        (Job.owner, filters.visible_owner),
        (Job.method, filters.method),
        (Job.student, filters.student),
        (Job.dataset_id, filters.dataset),
    )
    if filters.status:
        query = query.where(Job.status.in_(filters.status))
    for key, value in filters.labels:
        has_label = (JobLabel.job_id == Job.id, JobLabel.key == key, JobLabel.value == value)
        query = query.where(exists().where(*has_label))
    if filters.teacher is not None:
        query = query.where(
            or_(Job.teacher_id == filters.teacher, Job.teacher_model_id == filters.teacher)
        )
    if filters.created_after is not None:
        query = query.where(Job.created_at > filters.created_after)
    if filters.created_before is not None:
        query = query.where(Job.created_at < filters.created_before)
    return query.where(Job.name.icontains(filters.name, autoescape=True)) if filters.name else query


def list_attempts(session: Session, *job_ids: str) -> list[Attempt]:
    """Return the attempts of the jobs, oldest first."""
    attempts = select(Attempt).where(Attempt.job_id.in_(job_ids))
    return list(session.execute(attempts.order_by(Attempt.job_id, Attempt.number)).scalars())


def list_events(
    session: Session, job_id: str, *, after: int = 0, limit: int = 100
) -> list[JobEvent]:
    """Return the job's events numbered above `after`, oldest first."""
    events = select(JobEvent).where(JobEvent.job_id == job_id, JobEvent.seq > after)
    limited = events.order_by(JobEvent.seq).limit(max(1, min(limit, _MAX_EVENTS)))
    return list(session.execute(limited).scalars())


def list_metrics(
    session: Session, job_id: str, *, names: list[str] | None = None, max_points: int = 1000
) -> list[Row[str, int, int, int, float | None]]:
    """Return metric points as rows of (name, step, epoch, attempt, value), ordered by step.

    Each series is evenly thinned out to `max_points`. Its last point is always kept.
    """
    numbered = select(
        Metric.name,
        Metric.step,
        Metric.epoch,
        Metric.attempt,
        Metric.value,
        func.row_number().over(partition_by=Metric.name, order_by=Metric.step).label("position"),
        func.count().over(partition_by=Metric.name).label("length"),
    ).where(Metric.job_id == job_id)
    if names:
        numbered = numbered.where(Metric.name.in_(names))
    points = numbered.subquery()
    max_points = max(max_points, 2)
    stride = (points.c.length + max_points - 2) // (max_points - 1)
    is_selected = or_((points.c.position - 1) % stride == 0, points.c.position == points.c.length)
    columns = (points.c.name, points.c.step, points.c.epoch, points.c.attempt, points.c.value)
    selected = select(*columns).where(is_selected).order_by(points.c.name, points.c.step)
    return list(session.execute(selected).all())
