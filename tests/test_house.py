"""Project conventions: import directions, size limits, file names and plain language."""

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from dlkd_core.catalog import ARCHITECTURES, EXPORTERS, METHODS
from dlkd_core.catalog.loss_params import TERMS

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("api", "worker", "dlkd_core", "registry", "dlkd_client")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
# `# budget: reason` on a file's first line or on a def line exempts the file or function from its
# limit.
BUDGET_EXCEPTION = re.compile(r"#\s*budget: \w+")

# Folders that may hold more than 16 modules, because their files are many of one kind: losses,
# route groups or tasks of a worker.
CATALOG_FOLDERS = {"dlkd_core/losses", "api/routes", "worker"}

# Words and phrases that readers stumbled over. The plain word for each is in the code today.
STIFF_LANGUAGE = [
    r"\btold\b",
    r"\bwish(es)?\b",
    r"\bnobody (names|needs|knows)\b",
    r"\bNOBODY\b",
    r"\blessons?\b",
    r"\baffairs?\b",
    r"\bwordless\b",
    r"\bhas (a|no|the|its) (last )?(say|word)\b",
    r"\bwhat was (told|asked|said)\b",
    r"\bwhere there (is|are) none\b",
    r"\b(left out|omitted): (any|all|none)\b",
    r"\blies (in|there|under)\b",
    r"\bof before\b",
    r"\bso many\.",
    r"\bNone where\b",
    r'"""(For|Of|By|As) ',
    r'(description|help)="(For|Of|By|From|As) ',
]
TEXT_SUFFIXES = {".py", ".js", ".md", ".toml", ".yml", ".yaml", ".html", ".css", ".example"}
# Past entries and migrations keep their old wording, and the database keeps its column names.
HISTORY = {"docs/log.md", "CHANGELOG.md", "migrations/versions/0005_uploads.py"}
OLD_COLUMN = 'mapped_column("told"'


def test_imports_go_one_way() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run(
        [lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_files_stay_within_500_lines() -> None:
    too_long = []
    for path in [*SOURCES, *sorted((ROOT / "tests").rglob("*.py"))]:
        lines = path.read_text().splitlines()
        if len(lines) > 500 and not BUDGET_EXCEPTION.search(lines[0]):
            too_long.append(f"{path}: {len(lines)}")
    assert too_long == []


def find_functions(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the location and length of each function that is not exempt from the length limit."""
    text = path.read_text()
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if not BUDGET_EXCEPTION.search(lines[node.lineno - 1]):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            yield f"{path}:{node.lineno} {node.name}", length


@pytest.mark.parametrize("package", PACKAGES)
def test_functions_stay_within_60_lines(package: str) -> None:
    paths = [path for path in SOURCES if path.is_relative_to(ROOT / package)]
    functions = [entry for path in paths for entry in find_functions(path)]
    assert [f"{where}: {length}" for where, length in functions if length > 60] == []


def test_folders_hold_at_most_16_modules() -> None:
    modules = defaultdict(list)
    for path in SOURCES:
        if path.name != "__init__.py":
            modules[path.parent.relative_to(ROOT).as_posix()].append(path.name)
    crowded = {folder: len(names) for folder, names in modules.items() if len(names) > 16}
    assert crowded.keys() <= CATALOG_FOLDERS


def test_no_two_modules_of_a_package_share_a_name() -> None:
    paths = defaultdict(list)
    for path in SOURCES:
        # The synchronous client is generated from the asynchronous one.
        if path.name not in {"__init__.py", "__main__.py"} and path.parent.name != "_sync":
            paths[path.relative_to(ROOT).parts[0], path.name].append(path)
    assert [found for found in paths.values() if len(found) > 1] == []


def list_text_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    paths = [ROOT / line for line in listed.stdout.splitlines()]
    return [
        path
        for path in paths
        if path.suffix in TEXT_SUFFIXES
        and path.exists()
        and path.relative_to(ROOT).as_posix() not in HISTORY
        and path != Path(__file__)
    ]


def test_stiff_language_does_not_come_back() -> None:
    pattern = re.compile("|".join(STIFF_LANGUAGE))
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in list_text_files()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if pattern.search(line) and OLD_COLUMN not in line
    ]
    assert found == []


def test_the_training_loop_names_no_loss_model_or_data_set() -> None:
    source = (ROOT / "dlkd_core" / "training" / "loop.py").read_text().lower()
    words = set(re.findall(r"\w+", source))
    names = {
        *METHODS,
        *ARCHITECTURES,
        *EXPORTERS,
        *TERMS,
        "cifar",
        "cifar10",
        "cifar100",
        "imagenet",
    }
    # A batch has labels, and `at` and `plain` are English words.
    names -= {"labels", "at", "plain"}
    assert words & {name.lower() for name in names} == set()


def test_the_lock_is_requirements_lock_and_names_no_host() -> None:
    assert not (ROOT / "uv.lock").exists()
    assert re.findall(r"https?://|file://|--\S+", (ROOT / "requirements.lock").read_text()) == []


@pytest.mark.parametrize(
    "module",
    [
        "dlkd_core.catalog",
        "dlkd_core.errors",
        "dlkd_core.events",
        "dlkd_core.spec",
        "dlkd_core.training_spec",
    ],
)
def test_specs_and_catalog_load_no_torch(module: str) -> None:
    check = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=False).returncode == 0
