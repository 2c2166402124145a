"""What this machine has and how busy it is: cores, memory, GPUs. GPUs are counted without a CUDA context."""

import os
import socket
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from dlkd_core import __version__
from registry.offers import TRAIN, Offer, offers_of, slot_of
from registry.settings import Settings
from registry.uploads import CHECKS
from worker.gpus import use

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_CGROUP_USED = Path("/sys/fs/cgroup/memory.current")
_SPARED = 0.9  # of the memory: the worker and the system want some, too


def slots(settings: Settings) -> dict[str, int]:
    """How many jobs of each kind this worker runs at once. Checks are short and have a slot of their own."""
    counts = {TRAIN: settings.slots, CHECKS: 1}
    served = {slot_of(queue) for queue in settings.queue_names}
    return {kind: count for kind, count in counts.items() if kind in served}


def offers(settings: Settings, devices: list[dict[str, Any]]) -> list[Offer]:
    """What each slot offers in its queues; the processor's memory is shared by the slots."""
    return offers_of(slots(settings), [shared(settings, device) for device in devices], settings.queue_names)


def shared(settings: Settings, device: dict[str, Any]) -> dict[str, Any]:
    """The device with what one trainer may take of it, as others must know it to tell which jobs fit."""
    return {**device, "trainer_bytes": trainer_memory(settings)} if device["kind"] == "cpu" else device


def facts(settings: Settings, devices: list[dict[str, Any]]) -> dict[str, Any]:
    """The worker's row."""
    return {
        "name": settings.worker_name,
        "hostname": socket.gethostname(),
        "pid": os.getpid(),
        "version": __version__,
        "slots": slots(settings),
        "queues": sorted({offer.queue for offer in offers(settings, devices)}),
        "devices": [shared(settings, device) for device in devices],
    }


def devices(settings: Settings) -> list[dict[str, Any]]:
    """All devices as the worker's row tells them, now."""
    return [shared(settings, device) for device in (processor(), *gpus())]


def gpus() -> list[dict[str, Any]]:
    """The GPUs that NVIDIA's management library shows; none where there is no such library or driver."""
    return [{"kind": "cuda", **asdict(gpu)} for gpu in use()]


def processor() -> dict[str, Any]:
    """The CPU as a device. `busy` is since the last look."""
    busy = min(1.0, psutil.cpu_percent() / 100)
    return {"kind": "cpu", "cores": cores(), "busy": busy, "used_bytes": used_bytes(), "memory_bytes": memory_bytes()}


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes() -> int:
    """The memory of the machine, or of the container."""
    total: int = psutil.virtual_memory().total
    text = _CGROUP_LIMIT.read_text().strip() if _CGROUP_LIMIT.exists() else "max"
    return total if text == "max" else min(total, int(text))


def used_bytes() -> int:
    """What is in use of that, by whomever."""
    if _CGROUP_LIMIT.exists() and _CGROUP_LIMIT.read_text().strip() != "max":
        return min(int(_CGROUP_USED.read_text()), memory_bytes())
    memory = psutil.virtual_memory()
    return int(memory.total - memory.available)


def trainer_threads(settings: Settings) -> int:
    """CPU threads of one trainer."""
    return settings.trainer_threads or max(1, cores() // settings.slots)


def trainer_memory(settings: Settings) -> int:
    """Memory that one trainer may take."""
    return settings.trainer_memory_bytes or int(memory_bytes() * _SPARED / settings.slots)
