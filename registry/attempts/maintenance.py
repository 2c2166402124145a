"""Periodic maintenance by the leader: expired leases, lost queue messages and old data."""

from collections import Counter
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, exists, func, or_, select
from sqlalchemy.orm import Session

from registry.attempts import attempt_results
from registry.attempts.attempt_results import PostCommitWork
from registry.db.database import now
from registry.db.job_tables import Job, JobEvent, LogLine, Metric
from registry.jobs import lifecycle
from registry.jobs.job_enums import AttemptOutcome
from registry.jobs.lifecycle import JobStatus
from registry.workers import membership
from registry.workers.capacity import count_slots_by_queue

_WORKER_LOST_ERROR: dict[str, Any] = {
    "code": "worker_lost",
    "message": "The worker that ran the job stopped responding.",
    "hint": "Check the worker's log and the memory of its machine.",
    "retryable": True,
}
_HISTORY_TABLES = (JobEvent, Metric, LogLine)


def expire_leases(session: Session, *, retry_after: timedelta = timedelta()) -> PostCommitWork:
    """End the attempts whose lease has expired.

    Their jobs are paused or canceled if a client has requested that. Otherwise they are queued
    again or fail.
    """
    expired = (
        select(Job)
        .where(Job.status.in_(lifecycle.LEASED), Job.lease_until < now(session))
        .with_for_update(skip_locked=True)
    )
    total = PostCommitWork()
    for job in session.execute(expired).scalars().all():
        work = attempt_results.fail_attempt(
            session,
            job,
            _WORKER_LOST_ERROR,
            log_tail=(),
            retry_after=retry_after,
            outcome=AttemptOutcome.LOST,
        )
        total.orphaned_digests.extend(work.orphaned_digests)
        total.hints.extend(work.hints)
        if job.status == JobStatus.QUEUED:
            total.hints.append((job.queue, job.id))
    return total


def take_due_hints(
    session: Session, *, resend_after: timedelta, alive_within: timedelta
) -> list[tuple[str, str]]:
    """Return queue messages to send, as (queue, job id).

    They announce the jobs that are next in each queue, one per free slot. Jobs whose last message
    was sent less than `resend_after` ago are left out.
    """
    at = now(session)
    hints: list[tuple[str, str]] = []
    for queue, free in _count_free_slots(session, alive_within).items():
        eligible = select(Job).where(
            Job.queue == queue,
            Job.status == JobStatus.QUEUED,
            or_(Job.not_before.is_(None), Job.not_before <= at),
        )
        best = (
            eligible.order_by(Job.priority.desc(), Job.created_at, Job.id)
            .limit(free)
            .with_for_update(skip_locked=True)
        )
        for job in session.execute(best).scalars().all():
            if job.hinted_at is None or job.hinted_at < at - resend_after:
                job.hinted_at = at
                hints.append((queue, job.id))
    return hints


def _count_free_slots(session: Session, alive_within: timedelta) -> dict[str, int]:
    # Training queues share their slots, so a message may reach a worker without a free slot. This
    # does no harm.
    leased = (
        select(Job.queue, func.count()).where(Job.status.in_(lifecycle.LEASED)).group_by(Job.queue)
    )
    busy: dict[str, int] = {queue: count for queue, count in session.execute(leased).all()}  # noqa: C416 - mypy does not accept rows as pairs
    slots: Counter[str] = Counter()
    for row in membership.list_alive(session, within=alive_within):
        slots.update(count_slots_by_queue(row))
    return {queue: max(0, count - busy.get(queue, 0)) for queue, count in slots.items()}


def list_stale_checkpoints(
    session: Session, *, retention: timedelta, limit: int = 100
) -> list[Job]:
    """Return jobs whose checkpoint is no longer needed.

    These jobs have succeeded, or have ended in another way more than `retention` ago. The caller
    deletes the checkpoint and sets `checkpoint_key` to null.
    """
    is_stale = or_(Job.status == JobStatus.SUCCEEDED, Job.finished_at <= now(session) - retention)
    query = (
        select(Job)
        .where(Job.status.in_(lifecycle.TERMINAL), Job.checkpoint_key.is_not(None), is_stale)
        .limit(limit)
    )
    return list(session.execute(query.with_for_update(skip_locked=True)).scalars())


def prune_history(session: Session, *, retention: timedelta, limit: int = 20) -> list[str]:
    """Delete events, metrics and logs of jobs that ended more than `retention` ago.

    The jobs themselves stay.

    Returns:
        Ids of the pruned jobs, at most `limit`.
    """
    has_history = or_(*(exists().where(table.job_id == Job.id) for table in _HISTORY_TABLES))
    old_jobs = select(Job.id).where(
        Job.status.in_(lifecycle.TERMINAL), Job.finished_at <= now(session) - retention, has_history
    )
    locked = old_jobs.limit(limit).with_for_update(skip_locked=True)
    job_ids = list(session.execute(locked).scalars())
    for table in _HISTORY_TABLES:
        session.execute(delete(table).where(table.job_id.in_(job_ids)))
    return job_ids
