"""Describes the machine's cores, memory and GPUs, and their load.

GPUs are queried without creating a CUDA context.
"""

import os
import socket
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from dlkd_core import __version__
from dlkd_core.memory_limits import container_memory_limit
from registry.jobs.queue_names import QueueName, slot_kind
from registry.settings import Settings
from registry.workers.capacity import QueueCapacity, worker_capacities
from worker.gpus import read_gpu_usage

_CGROUP_MEMORY_CURRENT = Path("/sys/fs/cgroup/memory.current")
_TRAINER_MEMORY_SHARE = 0.9  # the worker and the system need the rest


def count_slots(settings: Settings) -> dict[str, int]:
    """Return how many jobs of each kind this worker runs at once.

    Checks are short and have a separate slot.
    """
    counts = {QueueName.TRAIN: settings.slots, QueueName.CHECKS: 1}
    served = {slot_kind(queue) for queue in settings.queue_names}
    return {kind: count for kind, count in counts.items() if kind in served}


def list_capacity(settings: Settings, devices: list[dict[str, Any]]) -> list[QueueCapacity]:
    """Return the capacity that this worker offers to each queue."""
    return worker_capacities(
        count_slots(settings),
        [add_trainer_memory(settings, device) for device in devices],
        settings.queue_names,
    )


def add_trainer_memory(settings: Settings, device: dict[str, Any]) -> dict[str, Any]:
    """Add a trainer's memory limit to a CPU's description.

    Before a job is claimed, this limit is compared with the memory that the job needs.
    """
    return (
        {**device, "trainer_bytes": trainer_memory_bytes(settings)}
        if device["kind"] == "cpu"
        else device
    )


def describe_worker(settings: Settings, devices: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the description of this worker for its database row."""
    return {
        "name": settings.worker_name,
        "hostname": socket.gethostname(),
        "pid": os.getpid(),
        "version": __version__,
        "slots": count_slots(settings),
        "queues": sorted({capacity.queue for capacity in list_capacity(settings, devices)}),
        "devices": [add_trainer_memory(settings, device) for device in devices],
    }


def list_devices(settings: Settings) -> list[dict[str, Any]]:
    """Return the current state of all devices for the worker's database row."""
    return [add_trainer_memory(settings, device) for device in (describe_cpu(), *list_gpus())]


def list_gpus() -> list[dict[str, Any]]:
    """Return the GPUs that NVML reports. The list is empty without NVML or a driver."""
    return [{"kind": "cuda", **asdict(gpu)} for gpu in read_gpu_usage()]


def describe_cpu() -> dict[str, Any]:
    """Return the description of the CPU as a device. `busy` is its load since the previous call."""
    return {
        "kind": "cpu",
        "cores": count_cores(),
        "busy": min(1.0, psutil.cpu_percent() / 100),
        "used_bytes": used_memory_bytes(),
        "memory_bytes": total_memory_bytes(),
    }


def count_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def total_memory_bytes() -> int:
    """Return the memory of the machine or the container."""
    total: int = psutil.virtual_memory().total
    limit = container_memory_limit()
    return total if limit is None else min(total, limit)


def used_memory_bytes() -> int:
    """Return the memory in use by all processes of the machine or the container."""
    if container_memory_limit() is not None:
        return min(int(_CGROUP_MEMORY_CURRENT.read_text()), total_memory_bytes())
    memory = psutil.virtual_memory()
    return int(memory.total - memory.available)


def trainer_threads(settings: Settings) -> int:
    """Return the number of CPU threads of one trainer."""
    return settings.trainer_threads or max(1, count_cores() // settings.slots)


def trainer_memory_bytes(settings: Settings) -> int:
    """Return the memory limit of one trainer."""
    return settings.trainer_memory_bytes or int(
        total_memory_bytes() * _TRAINER_MEMORY_SHARE / settings.slots
    )
