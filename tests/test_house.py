"""The rules of the house, held by a machine: direction of imports, budgets, and names that must not appear."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dlkd_core.catalog import ARCHITECTURES, EXPORTERS, METHODS
from dlkd_core.catalog.terms import TERMS

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("api", "worker", "dlkd_core", "registry", "dlkd_client")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
REASON = re.compile(r"#\s*budget: \w+")  # `# budget: why` on a file's first line or on a def line lifts its limit


def test_imports_go_one_way() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_files_stay_within_300_lines() -> None:
    files = [*SOURCES, *sorted((ROOT / "tests").rglob("*.py"))]
    texts = {path: path.read_text().splitlines() for path in files}
    assert [f"{path}: {len(lines)}" for path, lines in texts.items() if len(lines) > 300 and not REASON.search(lines[0])] == []


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Each function of the file without a reason for its length: where it is, and its lines."""
    text = path.read_text()
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not REASON.search(lines[node.lineno - 1]):
            yield f"{path}:{node.lineno} {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


@pytest.mark.parametrize("package", PACKAGES)
def test_functions_stay_within_40_lines(package: str) -> None:
    found = [entry for path in SOURCES if path.is_relative_to(ROOT / package) for entry in functions(path)]
    assert [f"{where}: {length}" for where, length in found if length > 40] == []


def test_the_training_loop_names_no_loss_model_or_data_set() -> None:
    words = set(re.findall(r"\w+", (ROOT / "dlkd_core" / "training.py").read_text().lower()))
    terms = set(TERMS) - {"labels", "at"}  # labels are also what a batch carries, and `at` is English
    names = {*METHODS, *ARCHITECTURES, *EXPORTERS, *terms, "cifar", "cifar10", "cifar100", "imagenet"} - {"plain", "at"}
    assert words & {name.lower() for name in names} == set()


def test_the_lock_is_requirements_lock_and_names_no_host() -> None:
    assert not (ROOT / "uv.lock").exists()
    assert re.findall(r"https?://|file://|--\S+", (ROOT / "requirements.lock").read_text()) == []


@pytest.mark.parametrize("module", ["dlkd_core.spec", "dlkd_core.catalog", "dlkd_core.events", "dlkd_core.errors"])
def test_the_words_of_the_core_load_no_torch(module: str) -> None:
    check = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=False).returncode == 0
