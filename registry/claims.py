"""A worker's hold on a job: claim it, keep it by heartbeats, write what its attempt finds out, end it.

Every write is guarded by (job, attempt, worker) and a state that is held; where no row fits, the worker has lost the job to
another and gets `Fenced`: it must stop and write nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, NamedTuple

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from registry import endings, lifecycle, models, progress
from registry.artifacts import Stored
from registry.db import finite, now, upsert
from registry.endings import Settled
from registry.errors import Fenced
from registry.lifecycle import JobStatus
from registry.tables import Attempt, Job, Metric


@dataclass(frozen=True)
class Claim:
    """A job that this worker holds. `attempt` is the fencing token."""

    job_id: str
    kind: str
    attempt: int
    worker_id: str
    queue: str
    spec: dict[str, Any]
    inputs: dict[str, Any]
    subject_id: str | None = None
    resume_from: str | None = None


@dataclass(frozen=True)
class Orders:
    """What the worker is to do with the attempt."""

    stop: Literal["cancel", "pause"] | None = None


class Point(NamedTuple):
    """Values measured at a step."""

    step: int
    epoch: int
    values: dict[str, float]


@dataclass(frozen=True)
class News:
    """What happened since the last record: events as (type, data), and points of the metric series."""

    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)


def claim(session: Session, *, worker_id: str, queues: Sequence[str], lease: timedelta) -> Claim | None:
    """Takes the best job of the queues that may start now: highest priority, then oldest. None where there is none."""
    at = now(session)
    eligible = select(Job).where(
        Job.status == JobStatus.QUEUED, Job.queue.in_(queues), or_(Job.not_before.is_(None), Job.not_before <= at)
    )
    best = eligible.order_by(Job.priority.desc(), Job.created_at, Job.id).limit(1).with_for_update(skip_locked=True)
    job = session.execute(best).scalar_one_or_none()
    if job is None:
        return None
    job.attempt += 1
    job.progress = progress.restart(job.progress)
    lifecycle.move(session, job, JobStatus.STARTING, actor=worker_id, attempt=job.attempt, worker=worker_id)
    job.worker_id, job.lease_until, job.not_before = worker_id, at + lease, None
    session.add(Attempt(job_id=job.id, number=job.attempt, worker_id=worker_id, status="running", started_at=at))
    session.flush()
    return _claim_of(job, worker_id)


def _claim_of(job: Job, worker_id: str) -> Claim:
    return Claim(
        job_id=job.id,
        kind=job.kind,
        attempt=job.attempt,
        worker_id=worker_id,
        queue=job.queue,
        spec=job.spec,
        inputs=job.inputs or {},
        subject_id=job.subject_id,
        resume_from=job.checkpoint_key,
    )


def heartbeat(session: Session, claim: Claim, *, lease: timedelta, facts: dict[str, Any] | None = None) -> Orders:
    """Renews the lease, takes the progress in, and returns the orders."""
    job = _hold(session, claim)
    at = now(session)
    job.lease_until = at + lease
    if facts:
        job.progress = progress.advance(job.progress, facts, at)
    if job.status == JobStatus.CANCELLING:
        return Orders(stop="cancel")
    return Orders(stop="pause" if job.status == JobStatus.PAUSING else None)


def enter(session: Session, claim: Claim, to: JobStatus) -> None:
    """Moves the job on to running or exporting; one that is being stopped stays so."""
    job = _hold(session, claim)
    if job.status in lifecycle.WORKING and job.status != to:
        lifecycle.move(session, job, to, actor=claim.worker_id)


def record(session: Session, claim: Claim, news: News) -> None:
    """Writes events and metrics; a step that was measured before is overwritten."""
    job = _hold(session, claim)
    at = now(session)
    for kind, data in news.events:
        lifecycle.add_event(session, job, kind, data, at=at)
    rows = {(name, point.step): _metric(claim, point, name) for point in news.points for name in point.values}
    upsert(session, Metric, list(rows.values()), keys=["job_id", "name", "step"], update=["value", "epoch", "attempt"])


def _metric(claim: Claim, point: Point, name: str) -> dict[str, Any]:
    place = {"job_id": claim.job_id, "name": name, "step": point.step}
    return {**place, "epoch": point.epoch, "attempt": claim.attempt, "value": finite(point.values[name])}


def checkpoint(session: Session, claim: Claim, key: str, step: int) -> str | None:
    """Notes where the next attempt goes on from; returns the key of the checkpoint before, which nobody needs any more."""
    job = _hold(session, claim)
    before = job.checkpoint_key
    job.checkpoint_key, job.checkpoint_step = key, step
    lifecycle.add_event(session, job, "checkpoint", {"step": step})
    return before if before != key else None


def finish(session: Session, claim: Claim, *, report: dict[str, Any], files: list[models.FileRow]) -> str | None:
    """Publishes the model and ends the job in one transaction; returns the model's id.

    The files must have been recorded (`artifacts.record`) in the same transaction. A job that is being cancelled ends
    cancelled, without a model: its client was told so.
    """
    job = _hold(session, claim)
    if job.status == JobStatus.CANCELLING:
        endings.end(session, job, "cancelled", to=JobStatus.CANCELLED)
        return None
    model = models.publish(session, job, report, files)
    job.model_id = model.id
    job.progress = progress.done(job.progress)
    endings.end(session, job, "succeeded", to=JobStatus.SUCCEEDED, model_id=model.id)
    return model.id


def finish_check(session: Session, claim: Claim, *, report: dict[str, Any], packed: Stored | None = None) -> Settled:
    """Marks the upload as ready, ends its check, and promotes the jobs that waited for it, all in one transaction."""
    job = _hold(session, claim)
    endings.end(session, job, "succeeded", to=JobStatus.SUCCEEDED)
    return endings.settle_ready(session, job, report, packed)


def fail(
    session: Session, claim: Claim, *, error: dict[str, Any], log_tail: Sequence[str] = (), retry_after: timedelta = timedelta()
) -> Settled:
    """Ends the attempt with an error: queued again after a pause that doubles each time if trying again may help, else failed."""
    return endings.attempt_failed(session, _hold(session, claim), error, log_tail=log_tail, retry_after=retry_after)


def cancelled(session: Session, claim: Claim) -> None:
    """The attempt has stopped as its client wished."""
    endings.end(session, _hold(session, claim), "cancelled", to=JobStatus.CANCELLED)


def give_back(session: Session, claim: Claim) -> None:
    """The worker shuts down: the job is queued again at once, and the attempt is not counted as spent."""
    job = _hold(session, claim)
    to = JobStatus.CANCELLED if job.status == JobStatus.CANCELLING else JobStatus.QUEUED
    endings.end(session, job, "returned", to=to)


def _hold(session: Session, claim: Claim) -> Job:
    """The job's row, locked, if this attempt still holds it."""
    held = (
        Job.id == claim.job_id,
        Job.attempt == claim.attempt,
        Job.worker_id == claim.worker_id,
        Job.status.in_(lifecycle.LEASED),
    )
    query = select(Job).where(*held).with_for_update().execution_options(populate_existing=True)
    job = session.execute(query).scalar_one_or_none()
    if job is None:
        raise Fenced(f"Attempt {claim.attempt} of {claim.job_id} is no longer held by {claim.worker_id}.")
    return job
