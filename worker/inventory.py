"""What this machine has: cores, memory, GPUs. GPUs are counted without a CUDA context."""

import os
import socket
from pathlib import Path
from typing import Any

import psutil
import pynvml

from registry.offers import TRAIN, Offer, offers_of
from registry.settings import Settings
from registry.uploads import CHECKS

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_SPARED = 0.9  # of the memory: the worker and the system want some, too


def slots(settings: Settings) -> dict[str, int]:
    """How many jobs of each queue this worker runs at once. Checks are short and have a slot of their own."""
    return {TRAIN: settings.slots, CHECKS: 1}


def offers(settings: Settings, devices: list[dict[str, Any]]) -> list[Offer]:
    """What each slot offers in its queues; the processor's memory is shared by the slots."""
    return offers_of(slots(settings), [shared(settings, device) for device in devices])


def shared(settings: Settings, device: dict[str, Any]) -> dict[str, Any]:
    """The device with what one trainer may take of it, as others must know it to tell which jobs fit."""
    return {**device, "trainer_bytes": trainer_memory(settings)} if device["kind"] == "cpu" else device


def facts(settings: Settings, devices: list[dict[str, Any]]) -> dict[str, Any]:
    """The worker's row."""
    return {
        "name": settings.worker_name,
        "hostname": socket.gethostname(),
        "pid": os.getpid(),
        "slots": slots(settings),
        "devices": [shared(settings, device) for device in devices],
    }


def gpus() -> list[dict[str, Any]]:
    """The GPUs that NVIDIA's management library shows; none where there is no such library or driver."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        return [
            {
                "kind": "cuda",
                "name": pynvml.nvmlDeviceGetName(handle),
                "memory_bytes": pynvml.nvmlDeviceGetMemoryInfo(handle).total,
            }
            for handle in handles
        ]
    finally:
        pynvml.nvmlShutdown()


def processor() -> dict[str, Any]:
    """The CPU as a device."""
    return {"kind": "cpu", "cores": cores(), "memory_bytes": memory_bytes()}


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes() -> int:
    """The memory of the machine, or of the container."""
    total: int = psutil.virtual_memory().total
    text = _CGROUP_LIMIT.read_text().strip() if _CGROUP_LIMIT.exists() else "max"
    return total if text == "max" else min(total, int(text))


def trainer_threads(settings: Settings) -> int:
    """CPU threads of one trainer."""
    return settings.trainer_threads or max(1, cores() // settings.slots)


def trainer_memory(settings: Settings) -> int:
    """Memory that one trainer may take."""
    return settings.trainer_memory_bytes or int(memory_bytes() * _SPARED / settings.slots)
