"""Tests for the environment variables and resource limits of trainers."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from worker.environment import build_environment

MEBIBYTE = 2**20
ISOLATE_SCRIPT = """
import json, os, resource, sys, tempfile
from pathlib import Path
from worker.environment import isolate_process

options = json.loads(sys.argv[1])
tempfile.gettempdir()  # the folder is cached, which must not matter
directory = Path(options["directory"])
isolate_process(directory, memory_bytes=options["memory_bytes"], gpu=options["gpu"])
try:
    bytearray(options["allocate_bytes"])
    allocated = True
except MemoryError:
    allocated = False
score = Path("/proc/self/oom_score_adj")
print(json.dumps({
    "folder": os.getcwd(),
    "temporary": tempfile.gettempdir(),
    "devices": os.environ["CUDA_VISIBLE_DEVICES"],
    "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
    "allocated": allocated,
    "killed_first": score.read_text().strip() == "1000" if score.exists() else True,
}))
"""


def run_isolated(
    directory: Path,
    *,
    allocate_bytes: int = 0,
    memory_bytes: int | None = None,
    gpu: str = "",
) -> dict[str, Any]:
    """Run an isolated Python process and return the environment that the process sees."""
    options = {
        "directory": str(directory),
        "memory_bytes": memory_bytes,
        "gpu": gpu,
        "allocate_bytes": allocate_bytes,
    }
    process = subprocess.run(
        [sys.executable, "-c", ISOLATE_SCRIPT, json.dumps(options)],
        capture_output=True,
        text=True,
        check=True,
    )
    environment: dict[str, Any] = json.loads(process.stdout)
    return environment


@pytest.mark.parametrize(
    "name",
    [
        "DLKD_DATABASE_URL",
        "DLKD_DATA",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "GITHUB_PAT",
        "PGPASSFILE",
        "SMTP_PASS",
        "REDIS_URL",
        "HTTPS_PROXY",
        "HF_TOKEN",
        "HF_TOKEN_PATH",
        "PIP_INDEX_URL",
        "SSH_AUTH_SOCK",
        "NVIDIA_API_KEY",
        "TORCH_HUB_TOKEN",
        "my_secret",
    ],
)
def test_secrets_are_withheld_whatever_their_name(name: str) -> None:
    assert name not in build_environment({name: "secret"}, threads=1)


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "HOME",
        "LC_ALL",
        "LD_LIBRARY_PATH",
        "PYTHONPATH",
        "VIRTUAL_ENV",
        "CUDA_HOME",
        "NVIDIA_VISIBLE_DEVICES",
        "MKL_NUM_THREADS",
        "TORCH_HOME",
        "HF_HOME",
        "HF_HUB_OFFLINE",
    ],
)
def test_variables_that_python_and_torch_need_are_kept(name: str) -> None:
    assert build_environment({name: "value"}, threads=1)[name] == "value"


def test_a_trainer_uses_the_configured_number_of_threads() -> None:
    assert build_environment({"OMP_NUM_THREADS": "64"}, threads=2)["OMP_NUM_THREADS"] == "2"


def test_a_trainer_works_in_its_own_folder_and_dumps_no_core(tmp_path: Path) -> None:
    environment = run_isolated(tmp_path)
    assert (environment["folder"], environment["temporary"]) == (str(tmp_path), str(tmp_path))
    assert (environment["core"], environment["killed_first"]) == (0, True)


@pytest.mark.parametrize("gpu", ["", "3"])
def test_a_trainer_sees_only_its_gpu(tmp_path: Path, gpu: str) -> None:
    assert run_isolated(tmp_path, gpu=gpu)["devices"] == gpu


@pytest.mark.parametrize(
    ("limit", "allocated"), [(None, True), (1024 * MEBIBYTE, True), (256 * MEBIBYTE, False)]
)
def test_a_trainer_cannot_allocate_more_than_its_memory_limit(
    tmp_path: Path,
    limit: int | None,
    allocated: bool,  # noqa: FBT001 - parametrized by pytest
) -> None:
    environment = run_isolated(tmp_path, allocate_bytes=512 * MEBIBYTE, memory_bytes=limit)
    assert environment["allocated"] == allocated
