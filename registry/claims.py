"""A worker's hold on a job: claim it, keep it by heartbeats, write what its attempt finds out, end it.

Every write is guarded by (job, attempt, worker) and a state that is held; where no row fits, the worker has lost the job to
another and gets `Fenced`: it must stop and write nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from registry import deadlines, endings, jobs, lifecycle, logs, models, progress, quotas, workers
from registry.db import finite, now, upsert
from registry.endings import Settled
from registry.errors import Fenced
from registry.lifecycle import JobStatus
from registry.offers import Offer, fits
from registry.store import Stored
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
    slots: int = 1


Order = Literal["cancel", "kill", "expire", "pause"]


@dataclass(frozen=True)
class Orders:
    """What the worker is to do with the attempt. `kill` is a cancel that waits for no checkpoint."""

    stop: Order | None = None


class Point(NamedTuple):
    """Values measured at a step."""

    step: int
    epoch: int
    values: dict[str, float]


@dataclass(frozen=True)
class News:
    """What happened since the last record: events as (type, data), points of the metric series, and lines of the log."""

    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.events or self.points or self.lines)

    def __add__(self, later: "News") -> "News":
        return News(self.events + later.events, self.points + later.points, self.lines + later.lines)


def claim(
    session: Session,
    *,
    worker_id: str,
    offers: Sequence[Offer],
    lease: timedelta,
    running: int | None = None,
    free: Mapping[str, int] | None = None,
) -> Claim | None:
    """Takes the best job that may start now and that an offer serves: highest priority, then oldest. None where there is none.

    Jobs of owners who have as many running as they may (`running`: who has no limit of its own) wait. `free` says by queue how
    many slots are idle at the moment; where the best job needs more it is waited for, else smaller ones would always go before.
    """
    if workers.draining(session, worker_id):
        return None
    at = now(session)
    eligible = select(Job).where(
        Job.status == JobStatus.QUEUED,
        Job.queue.in_([offer.queue for offer in offers]),
        fits(offers),
        or_(Job.not_before.is_(None), Job.not_before <= at),
        or_(Job.expires_at.is_(None), Job.expires_at > at),
    )
    job = _best(session, eligible, running)
    if job is None or (free is not None and job.slots > free.get(job.queue, 0)):
        return None
    job.attempt += 1
    job.progress = progress.restart(job.progress)
    deadlines.start(job, at)
    lifecycle.move(session, job, JobStatus.STARTING, actor=worker_id, attempt=job.attempt, worker=worker_id)
    job.worker_id, job.lease_until, job.not_before = worker_id, at + lease, None
    session.add(_attempt(job, worker_id, at))
    session.flush()
    return _claim_of(job, worker_id)


def _attempt(job: Job, worker_id: str, at: datetime) -> Attempt:
    step = job.checkpoint_step
    return Attempt(job_id=job.id, number=job.attempt, worker_id=worker_id, status="running", resumed_step=step, started_at=at)


def _best(session: Session, eligible: Select[Job], running: int | None) -> Job | None:
    full: set[str] = set()
    while True:
        others = eligible.where(or_(Job.kind != jobs.DISTILL, Job.owner.not_in(full))) if full else eligible
        best = others.order_by(Job.priority.desc(), Job.created_at, Job.id).limit(1).with_for_update(skip_locked=True)
        job = session.execute(best).scalar_one_or_none()
        if job is None or job.kind != jobs.DISTILL or quotas.may_run(session, job.owner, running):
            return job
        full.add(job.owner)


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
        slots=job.slots,
    )


def heartbeat(session: Session, claim: Claim, *, lease: timedelta, facts: dict[str, Any] | None = None) -> Orders:
    """Renews the lease, takes the progress in, and returns the orders."""
    job = _hold(session, claim)
    at = now(session)
    job.lease_until = at + lease
    if facts:
        job.progress = progress.advance(job.progress, facts, at)
    if job.status == JobStatus.CANCELLING:
        return Orders(stop="kill" if job.forced else "cancel")
    if deadlines.passed(job, at):
        return Orders(stop="expire")
    return Orders(stop="pause" if job.status == JobStatus.PAUSING else None)


def enter(session: Session, claim: Claim, to: JobStatus) -> None:
    """Moves the job on to running or exporting; one that is being stopped stays so."""
    job = _hold(session, claim)
    if job.status in lifecycle.WORKING and job.status != to:
        lifecycle.move(session, job, to, actor=claim.worker_id)


def record(session: Session, claim: Claim, news: News) -> None:
    """Writes events, metrics and log lines; a step that was measured before is overwritten."""
    job = _hold(session, claim)
    at = now(session)
    logs.append(session, job, news.lines)
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
    session.get_one(Attempt, (job.id, job.attempt)).saved_step = step
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


def finish_check(
    session: Session, claim: Claim, *, report: dict[str, Any], files: Mapping[str, Stored] = MappingProxyType({})
) -> Settled:
    """Marks the upload as ready, ends its check, and promotes the jobs that waited for it, all in one transaction.

    `files` are those of `CHECK_FILES` that the check of a data set leaves.
    """
    job = _hold(session, claim)
    endings.end(session, job, "succeeded", to=JobStatus.SUCCEEDED)
    return endings.settle_ready(session, job, report, files)


def fail(
    session: Session, claim: Claim, *, error: dict[str, Any], log_tail: Sequence[str] = (), retry_after: timedelta = timedelta()
) -> Settled:
    """Ends the attempt with an error: queued again after a pause that doubles each time if trying again may help, else failed."""
    return endings.attempt_failed(session, _hold(session, claim), error, log_tail=log_tail, retry_after=retry_after)


def cancelled(session: Session, claim: Claim) -> None:
    """The attempt has stopped as its client wished."""
    endings.end(session, _hold(session, claim), "cancelled", to=JobStatus.CANCELLED)


def expired(session: Session, claim: Claim) -> None:
    """The attempt has stopped because the job's time is over."""
    endings.expire(session, _hold(session, claim))


def give_back(session: Session, claim: Claim) -> None:
    """The attempt has stopped for a pause, or because the worker shuts down; it is not counted as spent.

    What becomes of the job is the client's newest word: paused, cancelled, or else queued again at once.
    """
    job = _hold(session, claim)
    outcome, to = endings.STOPPED.get(JobStatus(job.status), ("returned", JobStatus.QUEUED))
    endings.end(session, job, outcome, to=to)


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
