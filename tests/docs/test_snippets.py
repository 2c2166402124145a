"""No page shows a command or a snippet that no test runs."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from dlkd_core.spec import JobSpec
from tests.docs.blocks import DOCS, PAGES, ROOT, Block, blocks

HERE = "tests/docs/test_snippets.py"
# Which test runs the blocks of a page, by language.
RUN_BY = {
    ("README.md", "python"): "tests/e2e/test_tutorial.py",
    ("README.md", "sh"): HERE,
    ("command.md", "console"): "tests/docs/test_command.py",
    ("client.md", "python"): "tests/e2e/test_client_page.py",
    ("extending.md", "diff"): "tests/test_extending.py",
    ("extending.md", "json"): "tests/test_extending.py",
    ("extending.md", "python"): "tests/test_extending.py",
    ("extending.md", "toml"): HERE,
    ("methods.md", "json"): HERE,
    ("operating.md", "sh"): "tests/docs/test_operating.py",
    ("security.md", "python"): "tests/docs/test_security.py",
    ("students.md", "json"): HERE,
    ("teachers.md", "json"): HERE,
    ("teachers.md", "python"): "tests/docs/test_teachers.py",
    ("tutorial.md", "python"): "tests/e2e/test_tutorial.py",
    ("tutorial.md", "sh"): "tests/e2e/test_tutorial.py",
    ("using.md", "sh"): "tests/e2e/test_docs.py",
}
# What no test runs, and why.
NOT_RUN = {
    ("README.md", "mermaid"): "a drawing",
    ("README.md", "text"): "what a command prints",
    ("command.md", "console"): "how each command is called; tests/docs/test_command.py holds it to the commands",
    ("methods.md", "math"): "formulas; tests/docs/test_site.py draws them",
}
MINIMAL: dict[str, Any] = {
    "student": {"architecture": "resnet8"},
    "dataset": {"id": "dataset_01"},
    "teacher": {"id": "teacher_01"},
}
PARTS = [block for page in PAGES if RUN_BY.get((page.name, "json")) == HERE for block in blocks(page, "json")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_of_the_page_is_run_by_a_test_or_says_why_not(page: Path) -> None:
    shown = {(page.name, block.language) for block in blocks(page)}
    assert shown <= RUN_BY.keys() | NOT_RUN.keys()


def test_the_lists_name_blocks_and_tests_that_exist() -> None:
    shown = {(page.name, block.language) for page in PAGES for block in blocks(page)}
    assert RUN_BY.keys() | NOT_RUN.keys() == shown
    assert [(page, test) for (page, _), test in RUN_BY.items() if page not in (ROOT / test).read_text()] == []


@pytest.mark.parametrize("block", PARTS, ids=lambda block: f"{block.title} {block.text[:24]}")
def test_a_block_of_json_is_the_part_of_a_spec_that_its_title_names(block: Block) -> None:
    spec = JobSpec.model_validate({**MINIMAL, block.title: json.loads(block.text)})
    kept = spec.model_dump(mode="json")[block.title]
    assert json.loads(block.text).keys() <= kept.keys()


def test_every_target_of_make_in_the_pages_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"(?:^|`)make ([a-z0-9-]+)", page.read_text(), re.MULTILINE)}
    assert named - targets == set()
    assert {block.text.split()[0] for block in blocks(ROOT / "README.md", "sh")} == {"make"}


def test_the_entry_point_in_extending_is_of_the_group_that_is_read() -> None:
    (block,) = blocks(DOCS / "extending.md", "toml")
    ((group, entries),) = tomllib.loads(block.text)["project"]["entry-points"].items()
    assert f'"{group}"' in (ROOT / "dlkd_core" / "catalog" / "installed.py").read_text()
    assert all(re.fullmatch(r"[\w.]+:\w+", where) for where in entries.values())
