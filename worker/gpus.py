"""How busy the GPUs are, whoever uses them. NVIDIA's management library tells, without a CUDA context."""

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pynvml

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Use:
    """Of one GPU. `busy` is the share of the last moments in which kernels ran; None where the device does not tell."""

    index: int
    name: str
    busy: float | None
    used_bytes: int
    memory_bytes: int


def use() -> list[Use]:
    """Of each GPU, now; none where there is no such library, driver or device."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        return [_of(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError as error:
        _log.warning("the GPUs do not answer: %s", error)
        return []
    finally:
        pynvml.nvmlShutdown()


def _of(index: int) -> Use:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return Use(index, pynvml.nvmlDeviceGetName(handle), _busy(handle), memory.used, memory.total)


def _busy(handle: Any) -> float | None:
    with suppress(pynvml.NVMLError_NotSupported):  # parts of a GPU do not tell
        return float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu) / 100
    return None
