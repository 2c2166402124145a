"""Operations on existing jobs: cancel, pause, resume and retry."""

from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.orm import Session

from dlkd_core.spec import JobSpec
from registry.db.database import now
from registry.db.job_tables import Job, Metric
from registry.errors import (
    DatasetUnknown,
    JobEnded,
    JobNotEnded,
    ModelUnknown,
    TeacherUnknown,
    TransitionRefused,
)
from registry.inputs import input_resolution
from registry.jobs import deadlines, lifecycle, queries
from registry.jobs.lifecycle import JobStatus


def cancel(session: Session, job_id: str, *, actor: str, force: bool = False) -> Job:
    """Cancel a job. A waiting job is canceled at once, a running job by its worker.

    The worker saves a checkpoint first, unless `force` is set. Canceling a job twice has no
    further effect.

    Raises:
        JobEnded: The job has already ended in another way.
    """
    job = queries.lock(session, job_id)
    status = JobStatus(job.status)
    if status in lifecycle.TERMINAL - {JobStatus.CANCELLED}:
        raise JobEnded(f"Job {job_id} has already ended with status {status}.")
    job.forced = job.forced or (force and status in lifecycle.LEASED)
    if status not in {JobStatus.CANCELLED, JobStatus.CANCELLING}:
        to = JobStatus.CANCELLED if status in lifecycle.WAITING else JobStatus.CANCELLING
        lifecycle.transition(session, job, to, actor=actor, **({"force": True} if force else {}))
    return job


def pause(session: Session, job_id: str, *, actor: str) -> Job:
    """Pause a job. A running job pauses once its worker has saved a checkpoint.

    Until then, its status is `pausing`. A waiting job is paused at once. Pausing a job twice has no
    further effect.

    Raises:
        JobEnded: The job has already ended.
        TransitionRefused: The job cannot be paused in its current status.
    """
    job = queries.lock(session, job_id)
    if job.status in {JobStatus.PAUSING, JobStatus.PAUSED}:
        return job
    _refuse_ended(job)
    to = JobStatus.PAUSED if job.status in lifecycle.WAITING else JobStatus.PAUSING
    lifecycle.transition(session, job, to, actor=actor)
    return job


def resume(session: Session, job_id: str, *, actor: str) -> Job:
    """Queue a paused job, or let a job that is being paused continue.

    Resuming a job that is queued or running has no effect.

    Raises:
        JobEnded: The job has already ended.
        TransitionRefused: The job is not paused.
    """
    job = queries.lock(session, job_id)
    _refuse_ended(job)
    if job.status in lifecycle.ACTIVE | {JobStatus.QUEUED}:
        return job
    if job.status not in {JobStatus.PAUSED, JobStatus.PAUSING}:
        raise TransitionRefused(f"A job that is {job.status} cannot be resumed.")
    to = JobStatus.RUNNING if job.status == JobStatus.PAUSING else JobStatus.QUEUED
    lifecycle.transition(session, job, to, actor=actor)
    job.hinted_at = job.not_before = None
    return job


def retry(
    session: Session,
    job_id: str,
    *,
    actor: str,
    from_start: bool = False,
    overrides: dict[str, datetime | None],
) -> Job:
    """Run a failed, canceled or expired job again, from its last checkpoint if it has one.

    Args:
        session: The caller's transaction.
        job_id: The job to run again.
        actor: The principal who retries it.
        from_start: Discard the checkpoint, the progress and the metrics.
        overrides: May contain a new `deadline`. A `deadline` of None removes the deadline. If
            `overrides` is empty, the deadline does not change.

    Raises:
        JobEnded: The job has already succeeded.
        JobNotEnded: The job has not ended yet.
        UnprocessableRequest: Its deadline has passed, or an input is no longer available.
    """
    job = queries.lock(session, job_id)
    if job.status == JobStatus.SUCCEEDED:
        raise JobEnded(
            f"Job {job_id} has already succeeded and cannot be retried.",
            hint="Clone the job to train another student.",
        )
    if job.status not in lifecycle.TERMINAL:
        raise JobNotEnded(f"Job {job_id} cannot be retried, because it is still {job.status}.")
    job.deadline = overrides.get("deadline", job.deadline)
    deadlines.check(job.deadline, now(session))
    try:
        job.inputs = input_resolution.resolve(session, JobSpec.model_validate(job.spec))
    except (TeacherUnknown, DatasetUnknown, ModelUnknown) as error:
        hint = "It was deleted. Clone the job with another one."
        raise type(error)(error.message, hint=hint, pointer=error.pointer) from error
    _reset_attempts(job)
    if from_start:
        _discard_training_state(session, job)
    to = JobStatus.VALIDATING if job.inputs is None else JobStatus.QUEUED
    lifecycle.transition(session, job, to, actor=actor, retry=True, from_step=job.checkpoint_step)
    return job


def _reset_attempts(job: Job) -> None:
    job.spent = job.stalled = 0
    job.forced = False
    job.error = job.not_before = job.hinted_at = job.started_at = None
    job.expires_at = job.deadline


def _discard_training_state(session: Session, job: Job) -> None:
    # The checkpoint file stays in the store for now. All of the job's checkpoints are deleted after
    # it has ended.
    job.checkpoint_key = job.checkpoint_step = None
    job.progress = {}
    session.execute(delete(Metric).where(Metric.job_id == job.id))


def _refuse_ended(job: Job) -> None:
    if job.status in lifecycle.TERMINAL:
        raise JobEnded(
            f"Job {job.id} has already ended with status {job.status}.",
            hint="Retry or clone the job to train again.",
        )
