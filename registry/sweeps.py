"""What has to be looked after from time to time, by whoever leads: lost leases, hints that got lost, things nobody needs."""

from collections import Counter
from datetime import timedelta
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from registry import endings, lifecycle, workers
from registry.db import now
from registry.endings import Settled
from registry.lifecycle import JobStatus
from registry.offers import slots_by_queue
from registry.tables import Job

_LOST: dict[str, Any] = {
    "code": "worker_lost",
    "message": "The worker that ran the job fell silent.",
    "hint": "Look at the worker's log and its machine's memory.",
    "retryable": True,
}


def expire(session: Session, *, retry_after: timedelta = timedelta()) -> Settled:
    """Takes the jobs whose lease has run out from their workers: queued again, failed, or what their clients wished."""
    lost = select(Job).where(Job.status.in_(lifecycle.LEASED), Job.lease_until < now(session)).with_for_update(skip_locked=True)
    settled = Settled()
    for job in session.execute(lost).scalars().all():
        one = endings.attempt_failed(session, job, _LOST, log_tail=(), retry_after=retry_after, outcome="lost")
        settled.forget.extend(one.forget)
        settled.hints.extend([*one.hints, (job.queue, job.id)] if job.status == JobStatus.QUEUED else one.hints)
    return settled


def due_hints(session: Session, *, stale: timedelta, alive: timedelta) -> list[tuple[str, str]]:
    """Hints to send as (queue, job id): the best jobs of each queue, as many as slots are free, not hinted at lately."""
    at = now(session)
    hints: list[tuple[str, str]] = []
    for queue, free in _free_slots(session, alive).items():
        eligible = select(Job).where(
            Job.queue == queue, Job.status == JobStatus.QUEUED, or_(Job.not_before.is_(None), Job.not_before <= at)
        )
        best = eligible.order_by(Job.priority.desc(), Job.created_at, Job.id).limit(free).with_for_update(skip_locked=True)
        for job in session.execute(best).scalars().all():
            if job.hinted_at is None or job.hinted_at < at - stale:
                job.hinted_at = at
                hints.append((queue, job.id))
    return hints


def _free_slots(session: Session, alive: timedelta) -> dict[str, int]:
    """By queue; the training queues share their slots, so that a hint may find none free, which costs nothing."""
    held = select(Job.queue, func.count()).where(Job.status.in_(lifecycle.LEASED)).group_by(Job.queue)
    busy: dict[str, int] = {queue: count for queue, count in session.execute(held).all()}  # noqa: C416 - rows are no pairs for mypy
    slots: Counter[str] = Counter()
    for row in workers.alive(session, within=alive):
        slots.update(slots_by_queue(row))
    return {queue: max(0, count - busy.get(queue, 0)) for queue, count in slots.items()}


def ended_with_checkpoint(session: Session, *, kept: timedelta, limit: int = 100) -> list[Job]:
    """Jobs that succeeded, or ended otherwise so long ago that nobody will retry them, and still have a checkpoint.

    The caller deletes it and sets the key to null.
    """
    useless = or_(Job.status == JobStatus.SUCCEEDED, Job.finished_at <= now(session) - kept)
    query = select(Job).where(Job.status.in_(lifecycle.TERMINAL), Job.checkpoint_key.is_not(None), useless).limit(limit)
    return list(session.execute(query.with_for_update(skip_locked=True)).scalars())
