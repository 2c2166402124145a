"""Tests for docs/extending.md.

The walkthrough's files and edits are applied to a copy of the sources, which is then run.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE_TEXT = (ROOT / "docs" / "extending.md").read_text()
FILES = re.findall(r'```python title="(\S+)"\n(.*?)```', PAGE_TEXT, re.DOTALL)
EDITS = re.findall(r"```diff\n(.*?)```", PAGE_TEXT, re.DOTALL)
METHOD_JSON = re.search(r'```json title="method"\n(.*?)```', PAGE_TEXT, re.DOTALL)


@pytest.fixture(scope="module")
def extended_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the sources, apply the walkthrough's files and edits, and return the copy's folder."""
    copy = tmp_path_factory.mktemp("extended")
    for part in ("dlkd_core", "tests"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    for name, text in FILES:
        assert not (copy / name).exists(), f"{name} already exists in the sources"
        (copy / name).write_text(text)
    for edit in EDITS:
        apply = ["git", "apply", "--unidiff-zero", "--recount", "-C0", "-"]
        subprocess.run(apply, input=edit, text=True, check=True, cwd=copy)
    return copy


def run_python(folder: Path, *arguments: str) -> str:
    """Run Python with the copied sources and return its output."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    result = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.e2e
def test_new_loss_passes_its_own_test_and_the_tests_of_all_losses(extended_sources: Path) -> None:
    tests = [
        "tests/dlkd_core/losses/test_regression.py",
        "tests/dlkd_core/losses/test_objective.py",
    ]
    assert " passed" in run_python(
        extended_sources, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests
    )


def test_catalog_lists_new_loss_and_a_run_trains_with_it(
    extended_sources: Path, stripes: Path, tmp_path: Path
) -> None:
    assert METHOD_JSON
    training = {"epochs": 4, "batch_size": 16, "learning_rate": 0.1, "flip": False}
    student_spec = {
        "student": {"architecture": "resnet8"},
        "dataset": {"path": str(stripes)},
        "export": ["safetensors"],
    }
    distillation = {
        "teacher": {"path": str(tmp_path / "teacher" / "student.safetensors")},
        "method": json.loads(METHOD_JSON[1]),
    }
    teacher_folder, student_folder = str(tmp_path / "teacher"), str(tmp_path / "student")
    script = tmp_path / "script.py"
    script.write_text(f"""
from pathlib import Path
from dlkd_core.catalog.description import describe_catalog
from dlkd_core.pipeline import run
from dlkd_core.spec import DistillationSpec
assert "regression" in str(describe_catalog())
spec = {student_spec | {"training": training}!r}
list(run(DistillationSpec.model_validate(spec), Path({teacher_folder!r})))
spec = DistillationSpec.model_validate(spec | {distillation!r})
*_, end = run(spec, Path({student_folder!r}))
print(end.report["metrics"]["student"]["top1"])
""")
    assert float(run_python(extended_sources, str(script)).split()[-1]) > 0.5  # chance is 0.25
