"""What a trainer sees of the machine, and what it may take."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from worker.environment import clean

MEBIBYTE = 2**20
SETTLE = """
import json, os, resource, sys, tempfile
from pathlib import Path
from worker.environment import settle_in

given = json.loads(sys.argv[1])
tempfile.gettempdir()  # one that was looked up before must not stay
settle_in(Path(given["directory"]), memory_bytes=given["memory_bytes"], gpu=given["gpu"])
try:
    bytearray(given["wants"])
    had = True
except MemoryError:
    had = False
score = Path("/proc/self/oom_score_adj")
print(json.dumps({
    "folder": os.getcwd(),
    "temporary": tempfile.gettempdir(),
    "devices": os.environ["CUDA_VISIBLE_DEVICES"],
    "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
    "had": had,
    "first_to_go": score.read_text().strip() == "1000" if score.exists() else True,
}))
"""


def settled(directory: Path, *, wants: int = 0, memory_bytes: int | None = None, gpu: str = "") -> dict[str, Any]:
    given = {"directory": str(directory), "memory_bytes": memory_bytes, "gpu": gpu, "wants": wants}
    done = subprocess.run([sys.executable, "-c", SETTLE, json.dumps(given)], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


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
def test_no_secret_passes_whatever_its_name(name: str) -> None:
    assert name not in clean({name: "secret"}, threads=1)


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
def test_what_python_and_torch_need_passes(name: str) -> None:
    assert clean({name: "value"}, threads=1)[name] == "value"


def test_a_trainer_has_the_threads_that_it_is_given() -> None:
    assert clean({"OMP_NUM_THREADS": "64"}, threads=2)["OMP_NUM_THREADS"] == "2"


def test_a_trainer_works_in_its_own_folder_and_leaves_no_core(tmp_path: Path) -> None:
    found = settled(tmp_path)
    assert (found["folder"], found["temporary"]) == (str(tmp_path), str(tmp_path))
    assert (found["core"], found["first_to_go"]) == (0, True)


@pytest.mark.parametrize("gpu", ["", "3"])
def test_a_trainer_sees_its_gpu_alone(tmp_path: Path, gpu: str) -> None:
    assert settled(tmp_path, gpu=gpu)["devices"] == gpu


@pytest.mark.parametrize(("limit", "had"), [(None, True), (1024 * MEBIBYTE, True), (256 * MEBIBYTE, False)])
def test_a_trainer_gets_no_more_memory_than_its_own(tmp_path: Path, limit: int | None, had: bool) -> None:  # noqa: FBT001 - a column
    assert settled(tmp_path, wants=512 * MEBIBYTE, memory_bytes=limit)["had"] == had
