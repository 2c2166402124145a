"""Job labels: key-value pairs that clients attach to jobs and filter by."""

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from registry.db.job_tables import JobLabel
from registry.errors import LabelsTooMany

MAX_LABELS = 32  # per job


def set_labels(session: Session, job_id: str, labels: Mapping[str, str]) -> None:
    """Replace all labels of the job."""
    session.execute(delete(JobLabel).where(JobLabel.job_id == job_id))
    if labels:
        session.execute(
            insert(JobLabel),
            [{"job_id": job_id, "key": key, "value": value} for key, value in labels.items()],
        )


def merge_labels(session: Session, job_id: str, changes: Mapping[str, str | None]) -> None:
    """Merge changes into the labels of a job that the caller has locked.

    A label whose new value is None is removed.

    Raises:
        LabelsTooMany: The job would have more than `MAX_LABELS` labels.
    """
    merged = {**labels_by_job(session, [job_id])[job_id], **changes}
    labels = {key: value for key, value in merged.items() if value is not None}
    if len(labels) > MAX_LABELS:
        raise LabelsTooMany(f"The job would have {len(labels)} labels.", pointer="/labels")
    set_labels(session, job_id, labels)


def labels_by_job(session: Session, job_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the labels of each job, sorted by key."""
    labels: dict[str, dict[str, str]] = {job_id: {} for job_id in job_ids}
    query = (
        select(JobLabel).where(JobLabel.job_id.in_(job_ids)).order_by(JobLabel.job_id, JobLabel.key)
    )
    for row in session.execute(query).scalars():
        labels[row.job_id][row.key] = row.value
    return labels
