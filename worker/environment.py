"""Isolates a trainer process: no secrets in its environment, and limited resources."""

import os
import re
import resource
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

# Variables that Python, torch and torch's libraries read. Any other variable might be a secret.
_ALLOWED = re.compile(
    r"PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|VIRTUAL_ENV|XDG_CACHE_HOME"
    r"|HF_HOME|HF_HUB_CACHE|HF_HUB_OFFLINE|LD_\w+|DYLD_\w+|PYTHON\w+"
    r"|(CUDA|CUDNN|CUBLAS|NVIDIA|NCCL|HIP|HSA|ROCM|MIOPEN|TORCH|PYTORCH|TORCHINDUCTOR|TRITON"
    r"|OMP|KMP|GOMP|MKL|OPENBLAS|MALLOC)_\w+"
)
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH")


def build_environment(environment: Mapping[str, str], *, threads: int) -> dict[str, str]:
    """Return the environment variables that are passed to a trainer.

    They contain no secrets, so a malicious checkpoint or image that takes over the process cannot
    steal any.
    """
    allowed = {
        name: value
        for name, value in environment.items()
        if _ALLOWED.fullmatch(name) and not _SECRET_NAME.search(name)
    }
    return {**allowed, "OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1"}


def isolate_process(directory: Path, *, memory_bytes: int | None, gpu: str) -> None:
    """Confine this process to `directory` and set its resource limits.

    A trainer calls this before it opens its input files.
    """
    os.chdir(directory)
    os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    os.environ["TMPDIR"] = str(directory)
    tempfile.tempdir = None  # makes tempfile read TMPDIR again
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_bytes is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        limit = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    with suppress(OSError):  # the file exists only on Linux
        # If memory runs out, the kernel then kills this process instead of the worker.
        Path("/proc/self/oom_score_adj").write_text("1000")
