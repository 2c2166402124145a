"""Test that runs the snippets in docs/client.md in order."""

import asyncio
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dlkd_client.client import AsyncClient
from dlkd_client.errors import ProblemError
from tests.e2e.conftest import run_service

PAGE = Path(__file__).resolve().parents[2] / "docs" / "client.md"
SNIPPETS = "\n".join(
    re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
)


def test_client_page_snippets_work(
    shared_data: Path,
    few_cifar10: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.copy(few_cifar10, "images.zip")
    shutil.copy(shared_data / "teachers" / "cifar10_resnet20-12fca82f.th", "teacher.th")
    with run_service(tmp_path / "data") as service:
        key = (tmp_path / "data" / "api_key").read_text().strip()
        code = SNIPPETS.replace("http://127.0.0.1:8000", service.url).replace("dlkd_…", key)
        namespace: dict[str, Any] = {
            "np": np,
            "torch": torch,
            "asyncio": asyncio,
            "AsyncClient": AsyncClient,
            "ProblemError": ProblemError,
            "api_key": key,
        }
        exec(code, namespace)  # noqa: S102 - our own documentation
        namespace["client"].close()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("first-student 1 0.")
    assert lines[1] in {
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    }
    assert lines[2].startswith("teacher accuracy: ")
    assert lines[3].startswith("422 request_invalid ")
    assert lines[-1] == "cancelled"
    assert (tmp_path / "students" / "student.onnx").exists()
