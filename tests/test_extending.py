"""The walk of docs/extending.md, taken: its files and edits are applied to a copy of the sources, and what it says is run."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "extending.md").read_text()
FILES = re.findall(r'```python title="(\S+)"\n(.*?)```', PAGE, re.DOTALL)
EDITS = re.findall(r"```diff\n(.*?)```", PAGE, re.DOTALL)
METHOD = re.search(r'```json title="method"\n(.*?)```', PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources with the walk's files and edits."""
    copy = tmp_path_factory.mktemp("walked")
    for part in ("dlkd_core", "tests"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    for name, text in FILES:
        assert not (copy / name).exists(), f"{name} is in the sources already"
        (copy / name).write_text(text)
    for edit in EDITS:
        apply = ["git", "apply", "--unidiff-zero", "--recount", "-C0", "-"]
        subprocess.run(apply, input=edit, text=True, check=True, cwd=copy)
    return copy


def python(folder: Path, *arguments: str) -> str:
    """What Python prints, run over the copy."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_new_loss_passes_its_test_and_those_of_every_term(walked: Path) -> None:
    tests = ["tests/dlkd_core/losses/test_regression.py", "tests/dlkd_core/losses/test_objective.py"]
    assert " passed" in python(walked, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)


def test_the_catalog_lists_it_and_a_run_learns_with_it(walked: Path, stripes: Path, tmp_path: Path) -> None:
    assert METHOD
    training = {"epochs": 4, "batch_size": 16, "learning_rate": 0.1, "flip": False}
    student = {"student": {"architecture": "resnet8"}, "dataset": {"path": str(stripes)}, "export": ["safetensors"]}
    taught = {"teacher": {"path": str(tmp_path / "teacher" / "student.safetensors")}, "method": json.loads(METHOD[1])}
    script = tmp_path / "walk.py"
    script.write_text(f"""
from pathlib import Path
from dlkd_core.catalog.menu import describe
from dlkd_core.pipeline import run
from dlkd_core.spec import DistillationSpec
assert "regression" in str(describe())
spec = {student | {"training": training}!r}
list(run(DistillationSpec.model_validate(spec), Path({str(tmp_path / "teacher")!r})))
*_, end = run(DistillationSpec.model_validate(spec | {taught!r}), Path({str(tmp_path / "student")!r}))
print(end.report["metrics"]["student"]["top1"])
""")
    assert float(python(walked, str(script)).split()[-1]) > 0.5  # four classes
