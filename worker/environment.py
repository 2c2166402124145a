"""The surroundings of a trainer: no secrets, some limits."""

import os
import re
import resource
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

# What Python, torch and the libraries below them read. Anything else may be a secret, whatever it is called.
_KEPT = re.compile(
    r"PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|VIRTUAL_ENV|XDG_CACHE_HOME|HF_HOME|HF_HUB_CACHE|HF_HUB_OFFLINE|LD_\w+|DYLD_\w+|PYTHON\w+"
    r"|(CUDA|CUDNN|CUBLAS|NVIDIA|NCCL|HIP|HSA|ROCM|MIOPEN|TORCH|PYTORCH|TORCHINDUCTOR|TRITON|OMP|KMP|GOMP|MKL|OPENBLAS|MALLOC)_\w+"
)
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH")


def clean(environment: Mapping[str, str], *, threads: int) -> dict[str, str]:
    """The variables that a trainer may see: a checkpoint or an image that takes it over finds no key here."""
    kept = {name: value for name, value in environment.items() if _KEPT.fullmatch(name) and not _SECRET.search(name)}
    return {**kept, "OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1"}


def settle_in(directory: Path, *, memory_bytes: int | None, gpu: str) -> None:
    """Makes the directory this process's own place and puts the limits on it. For a trainer, before it touches its input."""
    os.chdir(directory)
    os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    os.environ["TMPDIR"] = str(directory)
    tempfile.tempdir = None  # looked up again
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_bytes is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        limit = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    with suppress(OSError):  # absent outside Linux
        Path("/proc/self/oom_score_adj").write_text("1000")  # when memory runs out, this process goes and not the worker
