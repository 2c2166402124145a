"""Claims of jobs by workers: claiming, renewing the lease, writing results, ending the attempt.

Every write checks that the job still has this attempt and worker and a leased status. Otherwise
another worker may have the job, and `LeaseLost` tells the worker to stop and write nothing more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from registry.access import quotas
from registry.attempts import attempt_results, progress, trainer_logs
from registry.attempts.attempt_results import PostCommitWork
from registry.db.column_types import sanitize_json
from registry.db.database import lock_row, now, upsert
from registry.db.job_tables import Attempt, Job, Metric
from registry.errors import LeaseLost
from registry.jobs import deadlines, lifecycle
from registry.jobs.job_enums import AttemptOutcome, JobEventType, JobKind
from registry.jobs.lifecycle import JobStatus
from registry.models import model_versions
from registry.storage.object_store import StoredFile
from registry.workers import membership
from registry.workers.capacity import QueueCapacity, fits_any


@dataclass(frozen=True)
class Claim:
    """A job that a worker holds. `attempt` is the fencing token."""

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


class StopOrder(StrEnum):
    """An order to a worker to stop an attempt."""

    CANCEL = "cancel"
    KILL = "kill"  # a cancellation that does not wait for a checkpoint
    EXPIRE = "expire"
    PAUSE = "pause"


@dataclass(frozen=True)
class HeartbeatReply:
    """The registry's answer to a heartbeat."""

    stop: StopOrder | None = None


class MetricPoint(NamedTuple):
    """Metric values at a step."""

    step: int
    epoch: int
    values: dict[str, float]


@dataclass(frozen=True)
class AttemptUpdate:
    """Events as (type, data), metric points and log lines since the last update."""

    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    points: list[MetricPoint] = field(default_factory=list)
    log_lines: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.events or self.points or self.log_lines)

    def __add__(self, later: "AttemptUpdate") -> "AttemptUpdate":
        return AttemptUpdate(
            self.events + later.events, self.points + later.points, self.log_lines + later.log_lines
        )


def claim(
    session: Session,
    *,
    worker_id: str,
    capacities: Sequence[QueueCapacity],
    lease: timedelta,
    default_running_limit: int | None = None,
    free_slots: Mapping[str, int] | None = None,
) -> Claim | None:
    """Claim the best eligible job that the capacities can serve, or return None.

    The job with the highest priority is best, and the oldest among equals. Jobs of owners who have
    reached their limit of running jobs are skipped. A draining worker gets no job.

    Args:
        session: The caller's transaction.
        worker_id: The worker that claims.
        capacities: What the worker can run.
        lease: Time until the first heartbeat is due.
        default_running_limit: Limit of running jobs for owners without a limit of their own.
        free_slots: Slots per queue that are idle now. If the best job needs more, nothing is
            claimed, because smaller jobs would otherwise always overtake it.
    """
    if membership.get_drain_mode(session, worker_id):
        return None
    at = now(session)
    eligible = select(Job).where(
        Job.status == JobStatus.QUEUED,
        Job.queue.in_([capacity.queue for capacity in capacities]),
        fits_any(capacities),
        or_(Job.not_before.is_(None), Job.not_before <= at),
        or_(Job.expires_at.is_(None), Job.expires_at > at),
    )
    job = _select_best_job(session, eligible, default_running_limit)
    if job is None or (free_slots is not None and job.slots > free_slots.get(job.queue, 0)):
        return None
    job.attempt += 1
    job.progress = progress.restart(job.progress)
    deadlines.start_time_limit(job, at)
    lifecycle.transition(
        session, job, JobStatus.STARTING, actor=worker_id, attempt=job.attempt, worker=worker_id
    )
    job.worker_id, job.lease_until, job.not_before = worker_id, at + lease, None
    attempt = Attempt(
        job_id=job.id,
        number=job.attempt,
        worker_id=worker_id,
        status=AttemptOutcome.RUNNING,
        resumed_step=job.checkpoint_step,
        started_at=at,
    )
    session.add(attempt)
    session.flush()
    return _make_claim(job, worker_id)


def _select_best_job(
    session: Session, eligible: Select[Job], default_running_limit: int | None
) -> Job | None:
    owners_at_limit: set[str] = set()
    while True:
        # Checks of uploads do not count towards an owner's running jobs.
        allowed = (
            eligible.where(or_(Job.kind != JobKind.DISTILL, Job.owner.not_in(owners_at_limit)))
            if owners_at_limit
            else eligible
        )
        best = (
            allowed.order_by(Job.priority.desc(), Job.created_at, Job.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        job = session.execute(best).scalar_one_or_none()
        if (
            job is None
            or job.kind != JobKind.DISTILL
            or quotas.can_start_job(session, job.owner, default_running_limit)
        ):
            return job
        owners_at_limit.add(job.owner)


def _make_claim(job: Job, worker_id: str) -> Claim:
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


def heartbeat(
    session: Session,
    claim: Claim,
    *,
    lease: timedelta,
    progress_update: dict[str, Any] | None = None,
) -> HeartbeatReply:
    """Renew the lease, update the progress and return the order for the attempt, if any.

    Raises:
        LeaseLost: The attempt no longer holds the job.
    """
    job = _lock_claimed_job(session, claim)
    at = now(session)
    job.lease_until = at + lease
    if progress_update:
        job.progress = progress.advance(job.progress, progress_update, at)
    return HeartbeatReply(stop=_stop_order(job, at))


def _stop_order(job: Job, at: datetime) -> StopOrder | None:
    if job.status == JobStatus.CANCELLING:
        return StopOrder.KILL if job.forced else StopOrder.CANCEL
    if deadlines.is_expired(job, at):
        return StopOrder.EXPIRE
    return StopOrder.PAUSE if job.status == JobStatus.PAUSING else None


def advance_status(session: Session, claim: Claim, to: JobStatus) -> None:
    """Move the job on to running or exporting, unless it is being stopped.

    Raises:
        LeaseLost: The attempt no longer holds the job.
    """
    job = _lock_claimed_job(session, claim)
    if job.status in lifecycle.ACTIVE and job.status != to:
        lifecycle.transition(session, job, to, actor=claim.worker_id)


def record_update(session: Session, claim: Claim, update: AttemptUpdate) -> None:
    """Store events, metrics and log lines. Metrics of a repeated step are overwritten.

    Raises:
        LeaseLost: The attempt no longer holds the job.
    """
    job = _lock_claimed_job(session, claim)
    at = now(session)
    trainer_logs.append(session, job, update.log_lines)
    for event_type, data in update.events:
        lifecycle.add_event(session, job, event_type, data, at=at)
    rows = {
        (name, point.step): {
            "job_id": claim.job_id,
            "name": name,
            "step": point.step,
            "epoch": point.epoch,
            "attempt": claim.attempt,
            "value": sanitize_json(value),
        }
        for point in update.points
        for name, value in point.values.items()
    }
    upsert(
        session,
        Metric,
        list(rows.values()),
        keys=["job_id", "name", "step"],
        update=["value", "epoch", "attempt"],
    )


def record_checkpoint(session: Session, claim: Claim, key: str, step: int) -> str | None:
    """Store the checkpoint that the next attempt resumes from.

    Returns:
        The key of the previous checkpoint, which is no longer needed, or None.

    Raises:
        LeaseLost: The attempt no longer holds the job.
    """
    job = _lock_claimed_job(session, claim)
    previous_key = job.checkpoint_key
    job.checkpoint_key, job.checkpoint_step = key, step
    session.get_one(Attempt, (job.id, job.attempt)).saved_step = step
    lifecycle.add_event(session, job, JobEventType.CHECKPOINT, {"step": step})
    return previous_key if previous_key != key else None


def finish(
    session: Session,
    claim: Claim,
    *,
    report: dict[str, Any],
    files: list[model_versions.ExportedFile],
) -> str | None:
    """Register the model and end the job in one transaction.

    The files must have been recorded (`artifacts.record`) in the same transaction. If a client has
    canceled the job, it ends as canceled and without a model.

    Returns:
        The id of the model, or None if the job was canceled.

    Raises:
        LeaseLost: The attempt no longer holds the job.
    """
    job = _lock_claimed_job(session, claim)
    if job.status == JobStatus.CANCELLING:
        attempt_results.end_attempt(session, job, AttemptOutcome.CANCELLED, to=JobStatus.CANCELLED)
        return None
    model = model_versions.publish(session, job, report, files)
    job.model_id = model.id
    job.progress = progress.complete(job.progress)
    attempt_results.end_attempt(
        session, job, AttemptOutcome.SUCCEEDED, to=JobStatus.SUCCEEDED, model_id=model.id
    )
    return model.id


def finish_check(
    session: Session,
    claim: Claim,
    *,
    report: dict[str, Any],
    files: Mapping[str, StoredFile] = MappingProxyType({}),
) -> PostCommitWork:
    """Mark the upload as ready, end its check and queue the jobs that waited for it.

    Args:
        session: The caller's transaction.
        claim: The claim of the check.
        report: The result of the check.
        files: Files that the check of a data set made, by the names in `CHECK_FILES`.

    Raises:
        LeaseLost: The attempt no longer holds the job.
    """
    job = _lock_claimed_job(session, claim)
    attempt_results.end_attempt(session, job, AttemptOutcome.SUCCEEDED, to=JobStatus.SUCCEEDED)
    return attempt_results.complete_check(session, job, report, files)


def fail(
    session: Session,
    claim: Claim,
    *,
    error: dict[str, Any],
    log_tail: Sequence[str] = (),
    retry_after: timedelta = timedelta(),
) -> PostCommitWork:
    """End the attempt with an error.

    If another attempt may help, the job is queued again after `retry_after`, which doubles with
    each failed attempt. Otherwise it fails.

    Raises:
        LeaseLost: The attempt no longer holds the job.
    """
    job = _lock_claimed_job(session, claim)
    return attempt_results.fail_attempt(
        session, job, error, log_tail=log_tail, retry_after=retry_after
    )


def mark_cancelled(session: Session, claim: Claim) -> None:
    """End the attempt and the job as canceled.

    Raises:
        LeaseLost: The attempt no longer holds the job.
    """
    job = _lock_claimed_job(session, claim)
    attempt_results.end_attempt(session, job, AttemptOutcome.CANCELLED, to=JobStatus.CANCELLED)


def mark_expired(session: Session, claim: Claim) -> None:
    """End the attempt and the job as expired, or as canceled if a client asked for it.

    Raises:
        LeaseLost: The attempt no longer holds the job.
    """
    attempt_results.expire_attempt(session, _lock_claimed_job(session, claim))


def release(session: Session, claim: Claim) -> None:
    """End an attempt that stopped for a pause or a worker's shutdown, without counting it.

    The job becomes paused or canceled if a client asked for it, and is queued again otherwise.

    Raises:
        LeaseLost: The attempt no longer holds the job.
    """
    job = _lock_claimed_job(session, claim)
    outcome, to = attempt_results.STOP_OUTCOMES.get(
        JobStatus(job.status), (AttemptOutcome.RETURNED, JobStatus.QUEUED)
    )
    attempt_results.end_attempt(session, job, outcome, to=to)


def _lock_claimed_job(session: Session, claim: Claim) -> Job:
    is_held = (
        Job.id == claim.job_id,
        Job.attempt == claim.attempt,
        Job.worker_id == claim.worker_id,
        Job.status.in_(lifecycle.LEASED),
    )
    job = lock_row(session, select(Job).where(*is_held))
    if job is None:
        raise LeaseLost(
            f"Worker {claim.worker_id} no longer holds attempt {claim.attempt} of job "
            f"{claim.job_id}."
        )
    return job
