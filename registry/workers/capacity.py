"""Capacity of workers: the queues that their slots serve, and the resources of a slot.

There is one training queue for each device that jobs can request. A training slot of a worker with
GPUs can serve all of these queues.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, or_
from sqlalchemy.orm import Session

from registry.db.job_tables import Job
from registry.db.worker_tables import WorkerRow
from registry.jobs.lifecycle import JobStatus
from registry.jobs.queue_names import QueueName, slot_kind
from registry.workers import membership


@dataclass(frozen=True)
class QueueCapacity:
    """Slots and memory that a worker offers to the jobs of one queue.

    If the memory is None, it is not limited.
    """

    queue: str
    memory_bytes: int | None = None
    slots: int = 1


def worker_capacities(
    slots: dict[str, int], devices: list[dict[str, Any]], queues: Collection[str] = ()
) -> list[QueueCapacity]:
    """Return the capacity that a worker with these slots and devices offers to each queue.

    A training slot gets a whole GPU if the worker has GPUs, and an equal share of the memory
    otherwise.

    Args:
        slots: Number of slots by kind.
        devices: Devices of the worker, in the format in which it reports them.
        queues: Queues that the worker serves. If empty, it serves all queues.
    """
    gpu_memory = [device["memory_bytes"] for device in devices if device["kind"] == "cuda"]
    cpu_memory = [
        device.get("trainer_bytes") or device["memory_bytes"]
        for device in devices
        if device["kind"] == "cpu"
    ]
    memory = cpu_memory[0] if cpu_memory else None
    capacities = [QueueCapacity(queue) for queue in slots if queue != QueueName.TRAIN]
    if QueueName.TRAIN in slots:
        training_slots = slots[QueueName.TRAIN]
        capacities += [
            QueueCapacity(QueueName.TRAIN, min(gpu_memory) if gpu_memory else memory),
            QueueCapacity(QueueName.TRAIN_CPU, memory, training_slots),
        ]
        if gpu_memory:
            gpu_slots = min(training_slots, len(gpu_memory))
            capacities.append(QueueCapacity(QueueName.TRAIN_CUDA, min(gpu_memory), gpu_slots))
    return [capacity for capacity in capacities if not queues or capacity.queue in queues]


def count_slots_by_queue(row: WorkerRow) -> dict[str, int]:
    """Return the number of the worker's slots that serve each queue.

    All training queues share the same slots, so these slots are counted for each of the queues.
    """
    capacities = worker_capacities(row.slots, row.devices, row.queues)
    return {capacity.queue: row.slots[slot_kind(capacity.queue)] for capacity in capacities}


def fits_any(capacities: Sequence[QueueCapacity]) -> ColumnElement[bool]:
    """Return the SQL condition that selects jobs that fit at least one of the capacities."""
    return or_(*(_fits_one(capacity) for capacity in capacities))


def _fits_one(capacity: QueueCapacity) -> ColumnElement[bool]:
    queue = and_(Job.queue == capacity.queue, Job.gpus * Job.processes <= capacity.slots)
    if capacity.memory_bytes is None:
        return queue
    return and_(queue, or_(Job.memory_bytes.is_(None), Job.memory_bytes <= capacity.memory_bytes))


def can_run(capacity: QueueCapacity, job: Job) -> bool:
    """Return whether the job fits the capacity. Keep this in sync with the SQL in `fits_any`."""
    has_memory = (
        capacity.memory_bytes is None
        or job.memory_bytes is None
        or job.memory_bytes <= capacity.memory_bytes
    )
    return job.queue == capacity.queue and job.slots <= capacity.slots and has_memory


def explain_waiting(
    session: Session, jobs: Sequence[Job], *, alive_within: timedelta
) -> dict[str, str]:
    """Return what each waiting job is waiting for, by job id.

    Jobs that are only waiting for their turn are left out.
    """
    reasons = {job.id: reason for job in jobs if (reason := _wait_reason(job))}
    queued = [job for job in jobs if job.status == JobStatus.QUEUED and job.id not in reasons]
    if not queued:
        return reasons
    capacities = {
        capacity
        for row in membership.list_alive(session, within=alive_within)
        for capacity in worker_capacities(row.slots, row.devices, row.queues)
    }
    for job in queued:
        if not any(can_run(capacity, job) for capacity in capacities):
            reasons[job.id] = _missing_worker_reason(job)
    return reasons


def _wait_reason(job: Job) -> str | None:
    if job.status == JobStatus.VALIDATING:
        return "the checks of its inputs"
    if job.status == JobStatus.PAUSED:
        return "a resume"
    if job.status == JobStatus.QUEUED and job.not_before is not None:
        return f"its next attempt, at {job.not_before:%Y-%m-%dT%H:%M:%SZ}"
    return None


def _missing_worker_reason(job: Job) -> str:
    if job.slots > 1:
        devices = f"{job.slots} {'GPUs' if job.device == 'cuda' else 'slots'} for one job"
    else:
        devices = {"auto": "", "cpu": "a CPU", "cuda": "a GPU"}[job.device]
    memory = f"{job.memory_bytes / 2**30:g} GiB of memory" if job.memory_bytes else ""
    needs = " and ".join(need for need in (devices, memory) if need)
    return f"a worker with {needs} (none is alive)" if needs else "a worker (none is alive)"
