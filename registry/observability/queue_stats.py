"""Statistics of the job queues."""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from registry.db.job_tables import Job
from registry.jobs.lifecycle import LEASED, JobStatus
from registry.jobs.queue_names import QueueName
from registry.observability import service_stats
from registry.workers import membership
from registry.workers.capacity import count_slots_by_queue


@dataclass(frozen=True)
class QueueStats:
    """Statistics of a queue, across all owners.

    `workers` and `slots` count the workers that currently accept jobs from the queue, and their
    slots. A training slot serves several queues.
    """

    name: str
    queued: int
    running: int
    oldest_seconds: float | None
    workers: int
    slots: int


def collect_queue_stats(session: Session, *, alive_within: timedelta) -> list[QueueStats]:
    """Return the statistics of every queue, sorted by name.

    Only workers whose last heartbeat is at most `alive_within` old are counted.
    """
    query = (
        select(Job.queue, Job.status, func.count())
        .where(Job.status.in_([JobStatus.QUEUED, *LEASED]))
        .group_by(Job.queue, Job.status)
    )
    counts = {(queue, status): count for queue, status, count in session.execute(query)}
    waiting_seconds = service_stats.oldest_queued_seconds(session)
    workers, slots = _count_workers(session, alive_within)
    return [
        QueueStats(
            name=name,
            queued=counts.get((name, JobStatus.QUEUED), 0),
            running=sum(counts.get((name, status), 0) for status in LEASED),
            oldest_seconds=waiting_seconds.get(name),
            workers=workers[name],
            slots=slots[name],
        )
        for name in sorted({*QueueName, *(queue for queue, _ in counts)})
    ]


def _count_workers(session: Session, alive_within: timedelta) -> tuple[Counter[str], Counter[str]]:
    """Count the workers that accept jobs from each queue, and their slots.

    Draining workers are not counted, because they accept no jobs.
    """
    workers: Counter[str] = Counter()
    slots: Counter[str] = Counter()
    for row in membership.list_alive(session, within=alive_within):
        if not row.draining:
            slots_by_queue = count_slots_by_queue(row)
            workers.update(slots_by_queue.keys())
            slots.update(slots_by_queue)
    return workers, slots
