"""Who can run what: the queues of a worker's slots, and what one slot gives to a job.

There is a training queue for each wish about the device; a slot of a worker with GPUs works on all of them.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, or_
from sqlalchemy.orm import Session

from registry import workers
from registry.lifecycle import JobStatus
from registry.tables import Job, WorkerRow

TRAIN = "train"  # on whatever device the worker has
CPU, CUDA = f"{TRAIN}-cpu", f"{TRAIN}-cuda"


@dataclass(frozen=True)
class Offer:
    """What a worker has for one job of a queue: so many slots, and memory for each (None: as much as the job likes)."""

    queue: str
    memory_bytes: int | None = None
    slots: int = 1


def queue_of(device: str) -> str:
    """The queue of jobs with that wish: auto, cpu or cuda."""
    return TRAIN if device == "auto" else f"{TRAIN}-{device}"


def slot_of(queue: str) -> str:
    """The kind of slot that works on the queue."""
    return TRAIN if queue in {TRAIN, CPU, CUDA} else queue


def offers_of(slots: dict[str, int], devices: list[dict[str, Any]], queues: Collection[str] = ()) -> list[Offer]:
    """What a worker with these facts offers: a whole GPU a slot where there are some, else an equal part of the memory.

    `queues` are those that it serves; none: all.
    """
    gpus = [device["memory_bytes"] for device in devices if device["kind"] == "cuda"]
    shared = [device.get("trainer_bytes") or device["memory_bytes"] for device in devices if device["kind"] == "cpu"]
    memory = shared[0] if shared else None
    found = [Offer(queue) for queue in slots if queue != TRAIN]
    if TRAIN in slots:
        found += [Offer(TRAIN, min(gpus) if gpus else memory), Offer(CPU, memory, slots[TRAIN])]
        found += [Offer(CUDA, min(gpus), min(slots[TRAIN], len(gpus)))] if gpus else []
    return [offer for offer in found if not queues or offer.queue in queues]


def slots_by_queue(row: WorkerRow) -> dict[str, int]:
    """How many slots of the worker work on each of its queues; those of training are shared by several."""
    return {offer.queue: row.slots[slot_of(offer.queue)] for offer in offers_of(row.slots, row.devices, row.queues)}


def fits(offers: Sequence[Offer]) -> ColumnElement[bool]:
    """The jobs that one of the offers can serve."""
    return or_(*(_fits(offer) for offer in offers))


def _fits(offer: Offer) -> ColumnElement[bool]:
    queue = and_(Job.queue == offer.queue, Job.gpus * Job.processes <= offer.slots)
    if offer.memory_bytes is None:
        return queue
    return and_(queue, or_(Job.memory_bytes.is_(None), Job.memory_bytes <= offer.memory_bytes))


def serves(offer: Offer, job: Job) -> bool:
    """The same of one job, without the database."""
    enough = offer.memory_bytes is None or job.memory_bytes is None or job.memory_bytes <= offer.memory_bytes
    return job.queue == offer.queue and job.slots <= offer.slots and enough


def waiting_for(session: Session, jobs: Sequence[Job], *, alive: timedelta) -> dict[str, str]:
    """What the waiting ones among the jobs wait for beside their turn, by id, in words."""
    found = {job.id: said for job in jobs if (said := _waits(job))}
    queued = [job for job in jobs if job.status == JobStatus.QUEUED and job.id not in found]
    if not queued:
        return found
    offers = {offer for row in workers.alive(session, within=alive) for offer in offers_of(row.slots, row.devices, row.queues)}
    return found | {job.id: _worker_for(job) for job in queued if not any(serves(offer, job) for offer in offers)}


def _waits(job: Job) -> str | None:
    if job.status == JobStatus.VALIDATING:
        return "the checks of its inputs"
    if job.status == JobStatus.PAUSED:
        return "a resume"
    if job.status == JobStatus.QUEUED and job.not_before is not None:
        return f"its next attempt, at {job.not_before:%Y-%m-%dT%H:%M:%SZ}"
    return None


def _worker_for(job: Job) -> str:
    several = f"{job.slots} {'GPUs' if job.device == 'cuda' else 'slots'} a job"
    wishes = {"auto": "", "cpu": "a CPU", "cuda": "a GPU"}[job.device] if job.slots == 1 else several
    memory = f"{job.memory_bytes / 2**30:g} GiB of memory" if job.memory_bytes else ""
    needs = " and ".join(wish for wish in (wishes, memory) if wish)
    return f"a worker with {needs}: none is alive" if needs else "a worker: none is alive"
