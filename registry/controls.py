"""What clients do with jobs that are under way or have ended: pause, resume, retry. Cancelling stands in `jobs`."""

from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.orm import Session

from dlkd_core.spec import JobSpec
from registry import deadlines, inputs, jobs, lifecycle
from registry.db import now
from registry.errors import DatasetUnknown, JobEnded, JobNotEnded, ModelUnknown, MoveRefused, TeacherUnknown
from registry.lifecycle import JobStatus
from registry.tables import Job, Metric


def pause(session: Session, job_id: str, *, actor: str) -> Job:
    """Holds a queued job back at once; one that runs saves a checkpoint and is `pausing` until then. Twice is once."""
    job = jobs.locked(session, job_id)
    if job.status in {JobStatus.PAUSING, JobStatus.PAUSED}:
        return job
    _refuse_ended(job)
    lifecycle.move(session, job, JobStatus.PAUSED if job.status in lifecycle.WAITING else JobStatus.PAUSING, actor=actor)
    return job


def resume(session: Session, job_id: str, *, actor: str) -> Job:
    """Queues a paused job; one that is still stopping for the pause goes on. One that goes on anyway is left alone."""
    job = jobs.locked(session, job_id)
    _refuse_ended(job)
    if job.status in lifecycle.WORKING | {JobStatus.QUEUED}:
        return job
    if job.status not in {JobStatus.PAUSED, JobStatus.PAUSING}:
        raise MoveRefused(f"A job that is {job.status} is not paused.")
    lifecycle.move(session, job, JobStatus.RUNNING if job.status == JobStatus.PAUSING else JobStatus.QUEUED, actor=actor)
    job.hinted_at = job.not_before = None
    return job


def retry(session: Session, job_id: str, *, actor: str, from_start: bool = False, more_time: dict[str, datetime | None]) -> Job:
    """A new round of attempts of a job that failed, was cancelled or expired, from its last checkpoint where there is one.

    `more_time` may hold another `deadline`. Raises an `Unfit` where its inputs are no longer fit, or its time is over.
    """
    job = jobs.locked(session, job_id)
    if job.status == JobStatus.SUCCEEDED:
        raise JobEnded(f"The job {job_id} has succeeded.", hint="Clone it to train another student.")
    if job.status not in lifecycle.TERMINAL:
        raise JobNotEnded(f"The job {job_id} is {job.status}.")
    job.deadline = more_time.get("deadline", job.deadline)
    deadlines.check(job.deadline, now(session))
    job.inputs = _inputs(session, job)
    _renew(job)
    if from_start:
        _forget_what_was_learnt(session, job)
    to = JobStatus.VALIDATING if job.inputs is None else JobStatus.QUEUED
    lifecycle.move(session, job, to, actor=actor, retry=True, from_step=job.checkpoint_step)
    return job


def _inputs(session: Session, job: Job) -> inputs.Facts | None:
    """As they are now. What is gone cannot be named otherwise in a retry, but in a clone."""
    try:
        return inputs.resolve(session, JobSpec.model_validate(job.spec))
    except (TeacherUnknown, DatasetUnknown, ModelUnknown) as gone:
        hint = "It was deleted. Clone the job and name another one in its place."
        raise type(gone)(gone.message, hint=hint, pointer=gone.pointer) from gone


def _renew(job: Job) -> None:
    job.spent = job.stalled = 0
    job.forced = False
    job.error = job.not_before = job.hinted_at = job.started_at = None
    job.expires_at = job.deadline


def _forget_what_was_learnt(session: Session, job: Job) -> None:
    """What lies in the store under the old checkpoint's name goes with the job's others when it has ended."""
    job.checkpoint_key = job.checkpoint_step = None
    job.progress = {}
    session.execute(delete(Metric).where(Metric.job_id == job.id))


def _refuse_ended(job: Job) -> None:
    if job.status in lifecycle.TERMINAL:
        raise JobEnded(f"The job {job.id} has already {job.status}.", hint="Retry or clone it to train again.")
