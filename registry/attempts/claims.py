"""Claims: how workers take jobs, renew their leases, write results and end their attempts.

Every write verifies that the worker's attempt still holds the job. If it does not, for example
because another worker has claimed the job, `LeaseLost` tells the worker to stop and to write
nothing more.
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
    KILL = "kill"  # the job is canceled without waiting for a checkpoint
    EXPIRE = "expire"
    PAUSE = "pause"


@dataclass(frozen=True)
class HeartbeatReply:
    """The registry's answer to a heartbeat."""

    stop: StopOrder | None = None


class MetricPoint(NamedTuple):
    """Metric values at one training step."""

    step: int
    epoch: int
    values: dict[str, float]


@dataclass(frozen=True)
class AttemptUpdate:
    """Events, metric points and log lines since the previous update.

    Each event is a (type, data) pair.
    """

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
    """Claim the best eligible job that the worker can run, or return None.

    The best job is the one with the highest priority or, among equals, the oldest. Jobs are skipped
    if their owner has reached the limit for running jobs. A draining worker gets no job.

    Args:
        session: The caller's transaction.
        worker_id: Id of the worker that claims the job.
        capacities: Capacities of the worker, one per queue that it serves.
        lease: Duration of the lease. The first heartbeat is due before it ends.
        default_running_limit: Maximum number of running jobs for an owner without a
            specific limit.
        free_slots: Number of idle slots per queue. If the best job needs more slots, nothing is
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
        # Upload checks do not count toward an owner's running jobs.
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
    """Renew the lease, update the progress and return whether the attempt should stop.

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
    """Change the job's status to running or exporting, unless the job is being stopped.

    Raises:
        LeaseLost: The attempt no longer holds the job.
    """
    job = _lock_claimed_job(session, claim)
    if job.status in lifecycle.ACTIVE and job.status != to:
        lifecycle.transition(session, job, to, actor=claim.worker_id)


def record_update(session: Session, claim: Claim, update: AttemptUpdate) -> None:
    """Store events, metrics and log lines. If a step is repeated, its metrics are overwritten.

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
    """Record the checkpoint from which the next attempt will resume.

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
    canceled the job, the job ends as canceled and no model is registered.

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
    """Mark the checked upload as ready, end its check and queue the jobs that waited for it.

    Args:
        session: The caller's transaction.
        claim: The claim of the check.
        report: The result of the check.
        files: Files that a dataset check produced, by their names in `CHECK_FILES`.

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

    If another attempt may help, the job is queued again after the delay `retry_after`, which
    doubles with each failed attempt. Otherwise it fails.

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
    """End the attempt and the job as expired, or as canceled if a client has canceled the job.

    Raises:
        LeaseLost: The attempt no longer holds the job.
    """
    attempt_results.expire_attempt(session, _lock_claimed_job(session, claim))


def release(session: Session, claim: Claim) -> None:
    """End an attempt that was stopped by a client or by the worker's shutdown.

    The attempt does not count toward `max_attempts`. The job becomes paused or canceled if a client
    has requested that. Otherwise it is queued again.

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
