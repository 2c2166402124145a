"""Trainer logs that are stored with the job."""

from datetime import timedelta
from typing import Any

import pytest

from registry.attempts import claims, maintenance, trainer_logs
from registry.attempts.claims import AttemptUpdate
from tests.registry.conftest import RegistryHarness


def list_numbered_lines(
    harness: RegistryHarness, job_id: str, **options: Any
) -> list[tuple[int, str]]:
    with harness.database.read() as session:
        return [(row.seq, row.line) for row in trainer_logs.list_lines(session, job_id, **options)]


def test_lines_are_numbered_across_attempts_and_read_by_cursor(harness: RegistryHarness) -> None:
    first = harness.start_job()
    harness.run(claims.record_update, first, AttemptUpdate(log_lines=["one", "two"]))
    harness.run(claims.record_update, first, AttemptUpdate(log_lines=["three"]))
    harness.run(claims.release, first)
    second = harness.claim()
    harness.run(claims.record_update, second, AttemptUpdate(log_lines=["four"]))
    job_id = first.job_id
    assert list_numbered_lines(harness, job_id) == [
        (1, "one"),
        (2, "two"),
        (3, "three"),
        (4, "four"),
    ]
    assert list_numbered_lines(harness, job_id, after=1, limit=2) == [(2, "two"), (3, "three")]
    assert list_numbered_lines(harness, job_id, attempt=2) == [(4, "four")]
    with harness.database.read() as session:
        assert [row.line for row in trainer_logs.list_last_lines(session, job_id, 2)] == [
            "three",
            "four",
        ]
        assert [
            row.line for row in trainer_logs.list_last_lines(session, job_id, 2, attempt=1)
        ] == ["two", "three"]


def test_only_the_newest_lines_are_kept(
    harness: RegistryHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer_logs, "MAX_LINES", 3)
    claim = harness.start_job()
    harness.run(claims.record_update, claim, AttemptUpdate(log_lines=["a", "b"]))
    harness.run(claims.record_update, claim, AttemptUpdate(log_lines=["c", "d"]))
    assert list_numbered_lines(harness, claim.job_id) == [(2, "b"), (3, "c"), (4, "d")]


def test_a_line_is_truncated_and_nul_is_replaced(harness: RegistryHarness) -> None:
    claim = harness.start_job()
    harness.run(claims.record_update, claim, AttemptUpdate(log_lines=["x" * 5000, "a\0b"]))
    assert [line for _, line in list_numbered_lines(harness, claim.job_id)] == [
        "x" * 2000,
        "a\N{REPLACEMENT CHARACTER}b",
    ]


def test_the_error_of_a_job_with_a_lost_worker_has_the_lines_that_were_received(
    harness: RegistryHarness,
) -> None:
    harness.submit(max_attempts=1)
    claim = harness.claim()
    harness.run(claims.record_update, claim, AttemptUpdate(log_lines=["the last line received"]))
    harness.run(claims.heartbeat, claim, lease=timedelta(seconds=-1))
    harness.run(maintenance.expire_leases)
    assert harness.get_job(claim.job_id).error["log"] == ["the last line received"]
