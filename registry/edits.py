"""What clients change about jobs that are there: their words and place in the queue; and the removal of those that have ended."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from registry import jobs, labels, lifecycle, removals
from registry.db import now
from registry.errors import JobHasModel, JobNotEnded, JobNotWaiting
from registry.tables import Attempt, AuditEvent, Job, JobEvent, JobLabel, LogLine, Metric, Model

_HANGING = (JobLabel, Attempt, JobEvent, LogLine, Metric)


def change(session: Session, job_id: str, changes: Mapping[str, Any], *, actor: str) -> Job:
    """Sets name, notes, labels (merged; None removes) and priority (while it waits), those of them that are given."""
    job = jobs.locked(session, job_id)
    if "priority" in changes and changes["priority"] != job.priority:
        if job.status not in lifecycle.WAITING:
            raise JobNotWaiting(f"The job {job_id} is {job.status}.", pointer="/priority")
        job.priority = changes["priority"]
    if "name" in changes:
        job.name = changes["name"]
        job.spec = {**job.spec, "name": job.name}
    if "notes" in changes:
        job.notes = changes["notes"]
    if "labels" in changes:
        labels.merge(session, job_id, changes["labels"])
    if changes:
        lifecycle.add_event(session, job, "changed", dict(changes))
        session.add(AuditEvent(at=now(session), actor=actor, action="job.changed", subject=job.id, data=dict(changes)))
    return job


def remove(session: Session, job_id: str, *, actor: str, with_model: bool = False) -> list[str]:
    """Deletes an ended job with its attempts, events, metrics and log. Returns digests of files that may have to be forgotten.

    Refused where it made a model, unless that is to go, too, and nobody is about to learn from it. The audit log stays.
    """
    job = jobs.locked(session, job_id)
    if job.status not in lifecycle.TERMINAL:
        raise JobNotEnded(f"The job {job_id} is {job.status}.")
    model = session.execute(select(Model).where(Model.job_id == job_id)).scalar_one_or_none()
    if model is not None and not with_model:
        raise JobHasModel(f"The job {job_id} made {model.id}.")
    digests = removals.remove(session, model, actor=actor) if model is not None else []
    for table in _HANGING:
        session.execute(delete(table).where(table.job_id == job_id))
    session.delete(job)
    facts = {"name": job.name, "status": job.status, "model_id": model.id if model else None}
    session.add(AuditEvent(at=now(session), actor=actor, action="job.deleted", subject=job_id, data=facts))
    session.flush()
    return digests
