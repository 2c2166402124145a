"""Tests of how often a process of `dlkd up` may exit before it is no longer restarted."""

import subprocess
import sys
from pathlib import Path

import pytest

from dlkd_client.local.child_process import ChildProcess


@pytest.mark.parametrize(("status", "is_too_often"), [(0, False), (3, True)])
def test_only_failures_count_and_three_within_a_minute_are_too_often(
    tmp_path: Path,
    status: int,
    is_too_often: bool,  # noqa: FBT001 - parametrized by pytest
) -> None:
    child = ChildProcess("worker", "worker", tmp_path / "worker.log", {})
    results = []
    for _ in range(3):
        child.process = subprocess.Popen([sys.executable, "-c", f"raise SystemExit({status})"])
        child.process.wait(30)
        results.append(child.record_exit())
    assert results == [False, False, is_too_often]
