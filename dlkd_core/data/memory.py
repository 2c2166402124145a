"""How much of this machine's memory images may take."""

import os
import re
import resource
from collections.abc import Iterator
from pathlib import Path

_SHARE = 0.5  # the rest is for the networks, a batch on its way, and whoever else works here
_MEMINFO = Path("/proc/meminfo")
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def share_of_memory() -> int:
    """Half of what this process may still take, in bytes: of the machine, of its container, under its own limit."""
    return int(min(_bounds()) * _SHARE)


def _bounds() -> Iterator[int]:
    yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if _MEMINFO.exists():  # Linux
        found = re.search(r"^MemAvailable:\s+(\d+) kB", _MEMINFO.read_text(), re.MULTILINE)
        if found:
            yield int(found[1]) << 10
    if _CGROUP_LIMIT.exists():
        limit = _CGROUP_LIMIT.read_text().strip()
        if limit != "max":
            yield int(limit)
    soft, _ = resource.getrlimit(resource.RLIMIT_DATA)
    if soft != resource.RLIM_INFINITY:
        yield soft
