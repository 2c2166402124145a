"""Every hostile file ends in a result or in an error that names the faulty part."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).resolve().parents[2]


def run_corpus(*arguments: str) -> list[dict[str, Any]]:
    """Run the corpus in its own process, whose children must not inherit threads."""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.hostile", "--json", *arguments],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def list_problems(outcomes: list[dict[str, Any]]) -> list[str]:
    return [
        f"{outcome['title']}: {outcome['problem']}; {outcome['code']}: {outcome['text'][:300]}"
        for outcome in outcomes
        if outcome["problem"]
    ]


def test_a_sample_of_the_hostile_files_is_refused_or_accepted_as_expected() -> None:
    outcomes = run_corpus("--sample")
    assert len(outcomes) >= 50
    assert list_problems(outcomes) == []


@pytest.mark.e2e
@pytest.mark.timeout(1200)
def test_a_quarter_of_the_hostile_files_is_refused_or_accepted_as_expected() -> None:
    outcomes = run_corpus("--quarter")
    assert len(outcomes) >= 300
    assert list_problems(outcomes) == []
