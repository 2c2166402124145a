"""Sessions, the database's clock, and what JSON cannot hold."""

from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from registry import claims
from registry.db import Database, finite, now, upsert
from registry.tables import Artifact, Job, Leader

World = Any  # tests/registry/conftest.py


def test_times_come_back_with_their_zone_and_compare_in_the_database(database: Database) -> None:
    moment = datetime(2026, 1, 1, 12, 0, 0, 1, tzinfo=UTC)
    elsewhere = moment.astimezone(ZoneInfo("Asia/Tokyo"))
    with database.write() as session:
        session.add(Leader(name="a", holder="b", expires_at=elsewhere))
    with database.read() as session:
        assert session.execute(select(Leader.expires_at)).scalar_one() == moment
        assert session.execute(select(Leader).where(Leader.expires_at <= moment)).first() is not None
        assert session.execute(select(Leader).where(Leader.expires_at < now(session))).first() is not None


def test_the_databases_clock_is_in_utc_and_goes_on(database: Database) -> None:
    with database.read() as session:
        first, second = now(session), now(session)
    assert first.utcoffset() == timedelta()
    assert first <= second
    assert abs(datetime.now(UTC) - first) < timedelta(minutes=1)


def break_off(database: Database) -> None:
    with database.write() as session:
        session.add(Artifact(digest="a", size=1, created_at=now(session)))
        session.flush()
        raise RuntimeError


def test_what_an_exception_interrupts_is_not_written(database: Database) -> None:
    with pytest.raises(RuntimeError):
        break_off(database)
    with database.read() as session:
        assert session.execute(select(Artifact)).first() is None


def test_two_writers_who_read_first_do_not_trip_over_each_other(database: Database) -> None:
    """On SQLite this fails at once where a transaction becomes a writer only with its first write."""
    with database.write() as session:
        session.add(Artifact(digest="a", size=0, created_at=now(session)))

    def add() -> None:
        for _ in range(20):
            with database.write() as session:
                row = session.execute(select(Artifact).with_for_update()).scalar_one()
                row.size += 1

    threads = [Thread(target=add) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as session:
        assert session.execute(select(Artifact.size)).scalar_one() == 60


def test_upserts_write_new_rows_and_overwrite_or_leave_old_ones(database: Database) -> None:
    row = {"digest": "a", "size": 1, "created_at": datetime.now(UTC)}
    with database.write() as session:
        assert upsert(session, Artifact, [row], keys=["digest"]) == 1
        assert upsert(session, Artifact, [{**row, "size": 2}], keys=["digest"]) == 0
        assert upsert(session, Artifact, [{**row, "size": 3}], keys=["digest"], update=["size"]) == 1
        assert upsert(session, Artifact, [], keys=["digest"]) == 0
        assert session.execute(select(Artifact.size)).scalar_one() == 3


def test_what_json_cannot_hold_becomes_null() -> None:
    assert finite({"a": [1.5, float("nan"), (float("inf"), None)], "b": "nan"}) == {"a": [1.5, None, [None, None]], "b": "nan"}


def test_what_no_database_can_hold_of_a_clients_or_programs_words_is_replaced(world: World) -> None:
    claim = world.running(name="a\0b")
    error = {"code": "internal_error", "message": "\0", "hint": "", "retryable": False}
    world.do(claims.fail, claim, error=error, log_tail=["one\0two"])
    job = world.job(claim.job_id)
    assert job.name == "a\N{REPLACEMENT CHARACTER}b"
    assert job.error is not None
    assert job.error["log"] == ["one\N{REPLACEMENT CHARACTER}two"]
    with world.database.read() as session:
        assert session.get(Job, "job_\0") is None
