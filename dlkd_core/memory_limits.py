"""Memory limits of this machine, container and process, and the errors of running into them.

This module does not import torch.
"""

import os
import re
import resource
from collections.abc import Iterator
from pathlib import Path

from dlkd_core.errors import OutOfMemory

# Images may use this fraction of the available memory. The rest is left for the networks,
# prefetched batches and other processes.
_USABLE_FRACTION = 0.5
_MEMINFO_FILE = Path("/proc/meminfo")
_CGROUP_LIMIT_FILE = Path("/sys/fs/cgroup/memory.max")
_OUT_OF_MEMORY_MESSAGES = (
    "can't allocate memory",
    "out of memory",
    "bad_alloc",
    "Cannot allocate memory",
    "could not create a primitive",  # oneDNN
)


def memory_budget() -> int:
    """Return the memory budget for images, in bytes: half of the memory available to this process.

    The available memory is the smallest of the machine's free memory and the limits of the
    container and the process.
    """
    return int(min(_memory_limits()) * _USABLE_FRACTION)


def container_memory_limit() -> int | None:
    """Return the memory limit of the container (cgroup v2) in bytes, or None if there is none."""
    if not _CGROUP_LIMIT_FILE.exists():
        return None
    limit = _CGROUP_LIMIT_FILE.read_text().strip()
    return None if limit == "max" else int(limit)


def _memory_limits() -> Iterator[int]:
    yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if _MEMINFO_FILE.exists():  # Linux
        available = re.search(r"^MemAvailable:\s+(\d+) kB", _MEMINFO_FILE.read_text(), re.MULTILINE)
        if available:
            yield int(available[1]) << 10
    container_limit = container_memory_limit()
    if container_limit is not None:
        yield container_limit
    soft_limit, _ = resource.getrlimit(resource.RLIMIT_DATA)
    if soft_limit != resource.RLIM_INFINITY:
        yield soft_limit


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out. Libraries in C++ raise RuntimeError."""
    return isinstance(error, MemoryError | OutOfMemory) or any(
        message in str(error) for message in _OUT_OF_MEMORY_MESSAGES
    )


def raise_if_out_of_memory(error: Exception, name: str) -> None:
    """Raise `OutOfMemory` if memory ran out while `name` was read or run.

    Readers call this before they blame the file, because some libraries do not say what they raise
    for a damaged file.
    """
    if isinstance(error, OutOfMemory):
        raise error
    if is_out_of_memory(error):
        raise OutOfMemory(
            f"There is not enough memory for {name}.",
            hint="Send a smaller file, or give the worker more memory.",
        ) from error
