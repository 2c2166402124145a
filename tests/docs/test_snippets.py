"""Tests that every command and snippet in the documentation is run by a test."""

import json
import re
import tomllib
from pathlib import Path
from time import time
from typing import Any

import pytest

from dlkd_core.spec import JobSpec
from registry.webhooks.deliveries import sign
from tests.docs.code_blocks import DOCS, PAGES, ROOT, CodeBlock, code_blocks

THIS_FILE = "tests/docs/test_snippets.py"
# Tests that run the code blocks, by page and language.
TESTED_BY = {
    ("README.md", "python"): "tests/e2e/test_tutorial_page.py",
    ("README.md", "sh"): THIS_FILE,
    ("command.md", "console"): "tests/docs/test_site.py",
    ("client.md", "python"): "tests/e2e/test_client_page.py",
    ("extending.md", "diff"): "tests/test_extending.py",
    ("extending.md", "json"): "tests/test_extending.py",
    ("extending.md", "python"): "tests/test_extending.py",
    ("extending.md", "toml"): THIS_FILE,
    ("methods.md", "json"): THIS_FILE,
    ("operating.md", "sh"): "tests/docs/test_operating_page.py",
    ("security.md", "python"): THIS_FILE,
    ("students.md", "json"): THIS_FILE,
    ("teachers.md", "json"): THIS_FILE,
    ("teachers.md", "python"): "tests/docs/test_teachers_page.py",
    ("tutorial.md", "python"): "tests/e2e/test_tutorial_page.py",
    ("tutorial.md", "sh"): "tests/e2e/test_tutorial_page.py",
    ("using.md", "sh"): "tests/e2e/test_using_page.py",
}
# Code blocks that no test runs, and the reasons.
UNTESTED = {
    ("architectures.md", "sh"): "takes hours; tests/benchmarks/test_catalog_sweep.py runs a sample",
    ("README.md", "mermaid"): "a diagram",
    ("README.md", "text"): "output of a command",
    ("methods.md", "math"): "formulas; tests/docs/test_site.py renders them",
}
MINIMAL_SPEC: dict[str, Any] = {
    "student": {"architecture": "resnet8"},
    "dataset": {"id": "dataset_01"},
    "teacher": {"id": "teacher_01"},
}
SPEC_EXAMPLES = [
    block
    for page in PAGES
    if TESTED_BY.get((page.name, "json")) == THIS_FILE
    for block in code_blocks(page, "json")
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_code_block_is_tested_or_exempt(page: Path) -> None:
    blocks = {(page.name, block.language) for block in code_blocks(page)}
    assert blocks <= TESTED_BY.keys() | UNTESTED.keys()


def test_lists_name_existing_blocks_and_tests() -> None:
    blocks = {(page.name, block.language) for page in PAGES for block in code_blocks(page)}
    assert TESTED_BY.keys() | UNTESTED.keys() == blocks
    assert [
        (page, test)
        for (page, _), test in TESTED_BY.items()
        if page not in (ROOT / test).read_text()
    ] == []


@pytest.mark.parametrize(
    "block", SPEC_EXAMPLES, ids=lambda block: f"{block.title} {block.text[:24]}"
)
def test_json_block_is_valid_spec_section(block: CodeBlock) -> None:
    spec = JobSpec.model_validate({**MINIMAL_SPEC, block.title: json.loads(block.text)})
    section = spec.model_dump(mode="json")[block.title]
    assert json.loads(block.text).keys() <= section.keys()


def test_every_make_target_on_the_pages_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    mentioned = {
        name
        for page in PAGES
        for name in re.findall(r"(?:^|`)make ([a-z0-9-]+)", page.read_text(), re.MULTILINE)
    }
    assert mentioned - targets == set()
    assert {block.text.split()[0] for block in code_blocks(ROOT / "README.md", "sh")} == {"make"}


def test_entry_point_on_extending_page_uses_the_plugin_group() -> None:
    (block,) = code_blocks(DOCS / "extending.md", "toml")
    ((group, entries),) = tomllib.loads(block.text)["project"]["entry-points"].items()
    plugins = ROOT / "dlkd_core" / "catalog" / "architectures" / "plugins.py"
    assert f'"{group}"' in plugins.read_text()
    assert all(re.fullmatch(r"[\w.]+:\w+", target) for target in entries.values())


def test_security_snippet_verifies_webhook_signature() -> None:
    (snippet,) = code_blocks(DOCS / "security.md", "python")
    page: dict[str, Any] = {}
    exec(snippet.text, page)  # noqa: S102 - the page's own code
    secret, body, now = "whsec_" + "c2VjcmV0" * 4, b'{"type":"job.succeeded"}', int(time())
    headers = {"webhook-id": "delivery_1", "webhook-timestamp": str(now)}
    headers["webhook-signature"] = f"v1,older {sign(secret, 'delivery_1', now, body)}"
    assert page["verified"](secret, headers, body)
    assert not page["verified"](secret, headers, body + b" ")
    assert not page["verified"]("whsec_" + "b3RoZXJz" * 4, headers, body)
    expired = {**headers, "webhook-timestamp": str(now - 600)}
    expired["webhook-signature"] = sign(secret, "delivery_1", now - 600, body)
    assert not page["verified"](secret, expired, body)
