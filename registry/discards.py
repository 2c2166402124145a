"""Teachers and data sets deleted: refused while a job needs them and, unless that is said, where a model's lineage names them."""

from collections.abc import Sequence
from typing import TypeVar

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from dlkd_core.spec import MOST_PROTOCOLS
from registry import audit, lifecycle
from registry.errors import NotFound
from registry.lifecycle import JobStatus
from registry.tables import Dataset, Job, Teacher
from registry.upload_errors import DatasetInLineage, DatasetInUse, TeacherInLineage, TeacherInUse

_Row = TypeVar("_Row", bound=Teacher | Dataset)
_NAMED = 5  # ids in a refusal: whoever has more of them looks into the list


def discard(session: Session, table: type[_Row], row_id: str, *, actor: str, force: bool = False) -> list[str]:
    """Deletes a teacher or data set. Returns digests of files that may have to be forgotten.

    Refused where a job that has not ended needs it or its check is under way; and, unless forced, where the lineage of a model
    names it. A check that still waits is cancelled. Jobs that have ended keep the id, and can be tried again no more.
    """
    row, check = _locked(session, table, row_id)
    _refuse_in_use(session, row, check)
    if not force:
        _refuse_in_lineage(session, row)
    if check is not None and check.status in lifecycle.WAITING:
        lifecycle.move(session, check, JobStatus.CANCELLED, actor=actor)
    kind = "teacher" if isinstance(row, Teacher) else "dataset"
    audit.note(session, actor, f"{kind}.deleted", row.id, name=row.name, sha256=row.sha256, size=row.size)
    session.delete(row)
    session.flush()
    return _files(row)


def _locked(session: Session, table: type[_Row], row_id: str) -> tuple[_Row, Job | None]:
    """The row, which no job can come to name meanwhile, and its check. As where a check ends, the check is locked first."""
    check_id = session.execute(select(table.check_job_id).where(table.id == row_id)).scalar_one_or_none()
    check = session.get(Job, check_id, with_for_update=True) if check_id else None
    row = session.get(table, row_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound(f"There is no {'teacher' if table is Teacher else 'data set'} {row_id}.")
    return row, check


def _refuse_in_use(session: Session, row: Teacher | Dataset, check: Job | None) -> None:
    refusal = TeacherInUse if isinstance(row, Teacher) else DatasetInUse
    if check is not None and check.status in lifecycle.LEASED:
        raise refusal(f"A worker looks into {row.id} right now.", hint="Wait until its check has ended.")
    query = select(Job.id).where(_names(row), Job.status.not_in(lifecycle.TERMINAL)).order_by(Job.id)
    users = session.execute(query).scalars().all()
    if users:
        hint = f"Wait until they have ended, or cancel them: {_some(users)}."
        raise refusal(f"Jobs that have not ended need {row.id}.", hint=hint)


def _refuse_in_lineage(session: Session, row: Teacher | Dataset) -> None:
    made = select(Job.model_id).where(_names(row), Job.model_id.is_not(None)).order_by(Job.model_id)
    models = [model_id for model_id in session.execute(made).scalars() if model_id]
    if models:
        refusal = TeacherInLineage if isinstance(row, Teacher) else DatasetInLineage
        raise refusal(f"The lineage of models names {row.id}: {_some(models)}.")


def _names(row: Teacher | Dataset) -> ColumnElement[bool]:
    """Of jobs: that they learn from it, on it, or are measured on it."""
    if isinstance(row, Teacher):
        return Job.teacher_id == row.id
    places = (Job.spec[("evaluation", place, "dataset", "id")].as_string() for place in range(MOST_PROTOCOLS))
    return or_(Job.dataset_id == row.id, *(place == row.id for place in places))


def _some(ids: Sequence[str]) -> str:
    more = len(ids) - _NAMED
    return ", ".join(ids[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _files(row: Teacher | Dataset) -> list[str]:
    named = [row.sha256] if isinstance(row, Teacher) else [row.sha256, row.packed_sha256, row.samples_sha256]
    return [digest for digest in dict.fromkeys(named) if digest is not None]
