"""Changes to existing jobs, and deletion of jobs."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from registry.access import audit
from registry.db.job_tables import Attempt, Job, JobEvent, JobLabel, LogLine, Metric
from registry.db.model_tables import Model
from registry.errors import JobHasModel, JobNotEnded, JobNotWaiting
from registry.jobs import job_labels, lifecycle, queries
from registry.jobs.job_enums import JobEventType
from registry.models import model_deletion

_CHILD_TABLES = (JobLabel, Attempt, JobEvent, LogLine, Metric)


def update_job(session: Session, job_id: str, changes: Mapping[str, Any], *, actor: str) -> Job:
    """Change the name, notes, labels or priority of a job.

    Labels are merged into the existing ones, and a value of None removes a label. Fields that
    `changes` does not contain stay unchanged.

    Raises:
        NotFound: There is no such job.
        JobNotWaiting: `changes` contains a new priority, but the job is no longer waiting.
        LabelsTooMany: The job would have too many labels.
    """
    job = queries.lock(session, job_id)
    if "priority" in changes and changes["priority"] != job.priority:
        if job.status not in lifecycle.WAITING:
            raise JobNotWaiting(
                f"The priority of job {job_id} cannot be changed, because its status is"
                f" {job.status}.",
                pointer="/priority",
            )
        job.priority = changes["priority"]
    if "name" in changes:
        job.name = changes["name"]
        job.spec = {**job.spec, "name": job.name}
    if "notes" in changes:
        job.notes = changes["notes"]
    if "labels" in changes:
        job_labels.merge_labels(session, job_id, changes["labels"])
    if changes:
        lifecycle.add_event(session, job, JobEventType.CHANGED, dict(changes))
        audit.record_event(session, actor, "job.changed", job.id, **changes)
    return job


def delete_job(session: Session, job_id: str, *, actor: str, with_model: bool = False) -> list[str]:
    """Delete an ended job with its attempts, events, metrics and log.

    Its audit entries are kept.

    Returns:
        Digests of the deleted rows' files, which may now be unreferenced.

    Raises:
        NotFound: There is no such job.
        JobNotEnded: The job has not ended yet.
        JobHasModel: The job produced a model and `with_model` is not set.
        ModelInUse: The job's model is the teacher of a job that has not ended.
        ModelAliased: An alias points at the job's model.
        ModelUsedAsTeacher: Another model's lineage refers to the job's model.
    """
    job = queries.lock(session, job_id)
    if job.status not in lifecycle.TERMINAL:
        raise JobNotEnded(f"Job {job_id} cannot be deleted, because it is still {job.status}.")
    model = session.execute(select(Model).where(Model.job_id == job_id)).scalar_one_or_none()
    if model is not None and not with_model:
        raise JobHasModel(
            f"Job {job_id} cannot be deleted without also deleting model {model.id}, which it"
            " produced."
        )
    digests = model_deletion.delete_model(session, model, actor=actor) if model is not None else []
    for table in _CHILD_TABLES:
        session.execute(delete(table).where(table.job_id == job_id))
    session.delete(job)
    audit.record_event(
        session,
        actor,
        "job.deleted",
        job_id,
        name=job.name,
        status=job.status,
        model_id=model.id if model else None,
    )
    session.flush()
    return digests
