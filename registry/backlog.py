"""Queues: how much waits in each, for how long already, and who works on it."""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from registry import census, workers
from registry.lifecycle import LEASED, JobStatus
from registry.offers import CPU, CUDA, TRAIN, slots_by_queue
from registry.tables import Job
from registry.uploads import CHECKS


@dataclass(frozen=True)
class Backlog:
    """A queue. `slots` are those of the workers that take jobs of it now; a training slot works on several queues."""

    name: str
    queued: int
    running: int
    oldest_seconds: float | None
    workers: int
    slots: int


def of(session: Session, *, alive: timedelta) -> list[Backlog]:
    """Every queue by name, those of all owners counted. `alive`: a worker that was heard of within that time works."""
    counted = select(Job.queue, Job.status, func.count()).where(Job.status.in_([JobStatus.QUEUED, *LEASED]))
    jobs = {(queue, status): count for queue, status, count in session.execute(counted.group_by(Job.queue, Job.status))}
    waited = census.oldest(session)
    serving, slots = _serving(session, alive)
    names = {TRAIN, CPU, CUDA, CHECKS, *(queue for queue, _ in jobs)}
    return [
        Backlog(
            name=name,
            queued=jobs.get((name, JobStatus.QUEUED), 0),
            running=sum(jobs.get((name, status), 0) for status in LEASED),
            oldest_seconds=waited.get(name),
            workers=serving[name],
            slots=slots[name],
        )
        for name in sorted(names)
    ]


def _serving(session: Session, alive: timedelta) -> tuple[Counter[str], Counter[str]]:
    """Workers and their slots by queue; one that drains takes nothing any more."""
    serving: Counter[str] = Counter()
    slots: Counter[str] = Counter()
    for row in workers.alive(session, within=alive):
        if not row.draining:
            found = slots_by_queue(row)
            serving.update(found.keys())
            slots.update(found)
    return serving, slots
