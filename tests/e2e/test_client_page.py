"""docs/client.md: its snippets, one after the other, as somebody would paste them."""

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
from tests.e2e.conftest import service

PAGE = Path(__file__).resolve().parents[2] / "docs" / "client.md"
SNIPPETS = "\n".join(re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL))


def test_the_snippets_work_as_pasted(
    shared_data: Path, few_cifar10: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.copy(few_cifar10, "images.zip")
    shutil.copy(shared_data / "teachers" / "cifar10_resnet20-12fca82f.th", "teacher.th")
    with service(tmp_path / "data") as known:
        key = (tmp_path / "data" / "api_key").read_text().strip()
        text = SNIPPETS.replace("http://127.0.0.1:8000", known.url).replace("dlkd_…", key)
        page: dict[str, Any] = {
            "np": np,
            "torch": torch,
            "asyncio": asyncio,
            "AsyncClient": AsyncClient,
            "ProblemError": ProblemError,
        }
        page["api_key"] = key
        exec(text, page)  # noqa: S102 - the documentation's own words
        page["client"].close()
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("first-student 1 0.")
    assert said[1] in {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}
    assert said[2].startswith("the teacher knows ")
    assert said[3].startswith("422 request_invalid ")
    assert said[-1] == "cancelled"
    assert (tmp_path / "students" / "student.onnx").exists()
