"""Labels of jobs: pairs that their clients choose, and find them by."""

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from registry.errors import LabelsTooMany
from registry.tables import JobLabel

MOST = 32  # of one job


def put(session: Session, job_id: str, labels: Mapping[str, str]) -> None:
    """These are the job's labels now."""
    session.execute(delete(JobLabel).where(JobLabel.job_id == job_id))
    if labels:
        session.execute(insert(JobLabel), [{"job_id": job_id, "key": key, "value": value} for key, value in labels.items()])


def merge(session: Session, job_id: str, changes: Mapping[str, str | None]) -> None:
    """Sets these and removes those that are None; the caller holds the job."""
    after = {key: value for key, value in {**of(session, [job_id])[job_id], **changes}.items() if value is not None}
    if len(after) > MOST:
        raise LabelsTooMany(f"The job would have {len(after)} labels.", pointer="/labels")
    put(session, job_id, after)


def of(session: Session, job_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """The labels of each of the jobs, by key."""
    found: dict[str, dict[str, str]] = {job_id: {} for job_id in job_ids}
    query = select(JobLabel).where(JobLabel.job_id.in_(job_ids)).order_by(JobLabel.job_id, JobLabel.key)
    for row in session.execute(query).scalars():
        found[row.job_id][row.key] = row.value
    return found
