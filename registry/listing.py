"""Lists of jobs: by state, labels, owner, method, student, time and name, in pages that are exact whatever the filters."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, exists, or_, select
from sqlalchemy.orm import Session

from registry import jobs, paging
from registry.errors import LabelMalformed
from registry.lifecycle import JobStatus
from registry.tables import Job, JobLabel


@dataclass(frozen=True)
class Filters:
    """Which jobs: those that meet all that is given. Of several states one is enough; of labels all must be there."""

    status: tuple[JobStatus, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    owner: str | None = None
    visible: str | None = None  # the only owner whose jobs are there at all
    method: str | None = None
    student: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    name: str | None = None
    dataset: str | None = None
    teacher: str | None = None  # an uploaded one or a model


def label_of(text: str) -> tuple[str, str]:
    """The pair in ``key:value``."""
    key, colon, value = text.partition(":")
    if not (key and colon):
        raise LabelMalformed(f"{text!r} is no label.")
    return key, value


def page(session: Session, filters: Filters = Filters(), *, limit: int = 50, cursor: str | None = None) -> paging.Page[Job]:
    """Jobs, newest first."""
    return paging.page_of(session, _chosen(filters), Job.id, limit=limit, cursor=cursor)


def _chosen(filters: Filters) -> Select[Job]:
    query = select(Job).where(Job.kind == jobs.DISTILL)
    if filters.status:
        query = query.where(Job.status.in_(filters.status))
    for key, value in filters.labels:
        query = query.where(exists().where(JobLabel.job_id == Job.id, JobLabel.key == key, JobLabel.value == value))
    for column, wanted in (
        (Job.owner, filters.owner),
        (Job.owner, filters.visible),
        (Job.method, filters.method),
        (Job.student, filters.student),
        (Job.dataset_id, filters.dataset),
    ):
        if wanted is not None:
            query = query.where(column == wanted)
    if filters.teacher is not None:
        query = query.where(or_(Job.teacher_id == filters.teacher, Job.teacher_model_id == filters.teacher))
    if filters.created_after is not None:
        query = query.where(Job.created_at > filters.created_after)
    if filters.created_before is not None:
        query = query.where(Job.created_at < filters.created_before)
    return query.where(Job.name.icontains(filters.name, autoescape=True)) if filters.name else query
