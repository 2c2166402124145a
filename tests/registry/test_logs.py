"""What trainers wrote, kept with the job."""

from datetime import timedelta
from typing import Any

import pytest

from registry import claims, logs, sweeps
from registry.claims import News

World = Any  # tests/registry/conftest.py


def lines(world: World, job_id: str, **options: Any) -> list[tuple[int, str]]:
    with world.database.read() as session:
        return [(row.seq, row.line) for row in logs.page(session, job_id, **options)]


def test_lines_are_numbered_over_all_attempts_and_read_by_cursor(world: World) -> None:
    first = world.running()
    world.do(claims.record, first, News(lines=["one", "two"]))
    world.do(claims.record, first, News(lines=["three"]))
    world.do(claims.give_back, first)
    second = world.claim()
    world.do(claims.record, second, News(lines=["four"]))
    job_id = first.job_id
    assert lines(world, job_id) == [(1, "one"), (2, "two"), (3, "three"), (4, "four")]
    assert lines(world, job_id, after=1, limit=2) == [(2, "two"), (3, "three")]
    assert lines(world, job_id, attempt=2) == [(4, "four")]
    with world.database.read() as session:
        assert [row.line for row in logs.tail(session, job_id, 2)] == ["three", "four"]
        assert [row.line for row in logs.tail(session, job_id, 2, attempt=1)] == ["two", "three"]


def test_of_very_many_lines_the_newest_are_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "KEPT_LINES", 3)
    claim = world.running()
    world.do(claims.record, claim, News(lines=["a", "b"]))
    world.do(claims.record, claim, News(lines=["c", "d"]))
    assert lines(world, claim.job_id) == [(2, "b"), (3, "c"), (4, "d")]


def test_a_line_is_cut_and_holds_no_nul(world: World) -> None:
    claim = world.running()
    world.do(claims.record, claim, News(lines=["x" * 5000, "a\0b"]))
    assert [line for _, line in lines(world, claim.job_id)] == ["x" * 2000, "a\N{REPLACEMENT CHARACTER}b"]


def test_the_error_of_a_job_whose_worker_was_lost_has_the_lines_that_came_through(world: World) -> None:
    world.submit(max_attempts=1)
    claim = world.claim()
    world.do(claims.record, claim, News(lines=["the last that was heard"]))
    world.do(claims.heartbeat, claim, lease=timedelta(seconds=-1))
    world.do(sweeps.expire)
    assert world.job(claim.job_id).error["log"] == ["the last that was heard"]
