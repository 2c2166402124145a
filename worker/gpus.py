"""Reads the load of GPUs from NVIDIA's management library (NVML), without a CUDA context."""

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pynvml

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GpuUsage:
    """The load of one GPU.

    `busy` is the fraction of the last sample period during which kernels ran, or None if the device
    does not report it.
    """

    index: int
    name: str
    busy: float | None
    used_bytes: int
    memory_bytes: int


def read_gpu_usage() -> list[GpuUsage]:
    """Return the load of each GPU. The list is empty without NVML, a driver or a GPU."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        return [_read_gpu(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError as error:
        _log.warning("Could not query the GPUs: %s", error)
        return []
    finally:
        pynvml.nvmlShutdown()


def _read_gpu(index: int) -> GpuUsage:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return GpuUsage(
        index,
        pynvml.nvmlDeviceGetName(handle),
        _read_utilization(handle),
        memory.used,
        memory.total,
    )


def _read_utilization(handle: Any) -> float | None:
    with suppress(pynvml.NVMLError_NotSupported):  # MIG instances do not report it
        return float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu) / 100
    return None
