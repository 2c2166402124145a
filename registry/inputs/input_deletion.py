"""Deletion of teachers and datasets.

An input cannot be deleted while a job needs it. If a model's lineage contains it, the deletion must
be forced.
"""

from collections.abc import Sequence
from typing import TypeVar

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from dlkd_core.spec import MAX_PROTOCOLS
from registry.access import audit
from registry.db.database import require_row
from registry.db.input_tables import Dataset, Teacher
from registry.db.job_tables import Job
from registry.errors import (
    DatasetInLineage,
    DatasetInUse,
    TeacherInLineage,
    TeacherInUse,
)
from registry.jobs import lifecycle
from registry.jobs.lifecycle import JobStatus

_RowT = TypeVar("_RowT", bound=Teacher | Dataset)
_MAX_LISTED_IDS = 5  # maximum number of ids in an error message


def delete_input(
    session: Session, table: type[_RowT], row_id: str, *, actor: str, force: bool = False
) -> list[str]:
    """Delete a teacher or dataset and return the digests of its files, which may now be unused.

    A check that is still waiting is canceled. Ended jobs keep the input's id, but
    can no longer be retried.

    Raises:
        NotFound: There is no such row.
        TeacherInUse, DatasetInUse: A job that has not ended needs the input, or the check
            of the input is running.
        TeacherInLineage, DatasetInLineage: A model's lineage contains it and `force` is not set.
    """
    row, check = _lock_row(session, table, row_id)
    _refuse_in_use(session, row, check)
    if not force:
        _refuse_in_lineage(session, row)
    if check is not None and check.status in lifecycle.WAITING:
        lifecycle.transition(session, check, JobStatus.CANCELLED, actor=actor)
    kind = "teacher" if isinstance(row, Teacher) else "dataset"
    audit.record_event(
        session, actor, f"{kind}.deleted", row.id, name=row.name, sha256=row.sha256, size=row.size
    )
    session.delete(row)
    session.flush()
    return _file_digests(row)


def _lock_row(session: Session, table: type[_RowT], row_id: str) -> tuple[_RowT, Job | None]:
    """Lock the row of the input's check job, and then the row of the input.

    While the input's row is locked, no new job can refer to it. The code that finishes a check
    takes the locks in the same order, which prevents deadlocks.
    """
    check_id = session.execute(
        select(table.check_job_id).where(table.id == row_id)
    ).scalar_one_or_none()
    check = session.get(Job, check_id, with_for_update=True) if check_id else None
    row = session.get(table, row_id, with_for_update=True, populate_existing=True)
    noun = "teacher" if table is Teacher else "dataset"
    return require_row(row, f"{noun} {row_id}"), check


def _refuse_in_use(session: Session, row: Teacher | Dataset, check: Job | None) -> None:
    in_use = TeacherInUse if isinstance(row, Teacher) else DatasetInUse
    if check is not None and check.status in lifecycle.LEASED:
        raise in_use(
            f"{row.id} cannot be deleted while a worker is checking it.",
            hint="Wait until the check has ended.",
        )
    query = (
        select(Job.id)
        .where(_uses_input(row), Job.status.not_in(lifecycle.TERMINAL))
        .order_by(Job.id)
    )
    users = session.execute(query).scalars().all()
    if users:
        raise in_use(
            f"{row.id} cannot be deleted, because jobs that have not ended use it.",
            hint=f"Wait until these jobs have ended, or cancel them: {_format_ids(users)}.",
        )


def _refuse_in_lineage(session: Session, row: Teacher | Dataset) -> None:
    query = (
        select(Job.model_id)
        .where(_uses_input(row), Job.model_id.is_not(None))
        .order_by(Job.model_id)
    )
    models = [model_id for model_id in session.execute(query).scalars() if model_id]
    if models:
        in_lineage = TeacherInLineage if isinstance(row, Teacher) else DatasetInLineage
        raise in_lineage(
            f"{row.id} was not deleted, because the lineage of these models contains it:"
            f" {_format_ids(models)}."
        )


def _uses_input(row: Teacher | Dataset) -> ColumnElement[bool]:
    """Return the SQL condition that selects jobs that train with the input or evaluate on it."""
    if isinstance(row, Teacher):
        return Job.teacher_id == row.id
    evaluation_ids = [
        Job.spec[("evaluation", index, "dataset", "id")].as_string()
        for index in range(MAX_PROTOCOLS)
    ]
    return or_(Job.dataset_id == row.id, *(column == row.id for column in evaluation_ids))


def _format_ids(ids: Sequence[str]) -> str:
    more = len(ids) - _MAX_LISTED_IDS
    return ", ".join(ids[:_MAX_LISTED_IDS]) + (f" and {more} more" if more > 0 else "")


def _file_digests(row: Teacher | Dataset) -> list[str]:
    digests: list[str | None] = [row.sha256]
    if isinstance(row, Dataset):
        digests += [row.packed_sha256, row.samples_sha256, row.examples_sha256]
    return [digest for digest in dict.fromkeys(digests) if digest is not None]
