"""Sessions, the clock, upserts, and rejection of values that databases cannot store."""

from datetime import UTC, datetime, timedelta
from threading import Thread
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from registry.attempts import claims
from registry.db.column_types import sanitize_json
from registry.db.database import Database, now, upsert
from registry.db.input_tables import Artifact
from registry.db.job_tables import Job
from registry.db.worker_tables import Leader
from tests.registry.conftest import RegistryHarness


def test_times_keep_their_zone_and_compare_correctly(database: Database) -> None:
    instant = datetime(2026, 1, 1, 12, 0, 0, 1, tzinfo=UTC)
    in_tokyo = instant.astimezone(ZoneInfo("Asia/Tokyo"))
    with database.write() as session:
        session.add(Leader(name="a", holder="b", expires_at=in_tokyo))
    with database.read() as session:
        assert session.execute(select(Leader.expires_at)).scalar_one() == instant
        assert (
            session.execute(select(Leader).where(Leader.expires_at <= instant)).first() is not None
        )
        assert (
            session.execute(select(Leader).where(Leader.expires_at < now(session))).first()
            is not None
        )


def test_the_database_clock_is_in_utc_and_moves_forward(database: Database) -> None:
    with database.read() as session:
        first, second = now(session), now(session)
    assert first.utcoffset() == timedelta()
    assert first <= second
    assert abs(datetime.now(UTC) - first) < timedelta(minutes=1)


def write_and_fail(database: Database) -> None:
    with database.write() as session:
        session.add(Artifact(digest="a", size=1, created_at=now(session)))
        session.flush()
        raise RuntimeError


def test_a_transaction_is_rolled_back_on_an_exception(database: Database) -> None:
    with pytest.raises(RuntimeError):
        write_and_fail(database)
    with database.read() as session:
        assert session.execute(select(Artifact)).first() is None


def test_concurrent_writers_that_read_first_do_not_fail(database: Database) -> None:
    """SQLite would reject their writes if they took the write lock only after reading."""
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


def test_an_upsert_inserts_new_rows_and_overwrites_or_keeps_existing_ones(
    database: Database,
) -> None:
    row = {"digest": "a", "size": 1, "created_at": datetime.now(UTC)}
    with database.write() as session:
        assert upsert(session, Artifact, [row], keys=["digest"]) == 1
        assert upsert(session, Artifact, [{**row, "size": 2}], keys=["digest"]) == 0
        assert (
            upsert(session, Artifact, [{**row, "size": 3}], keys=["digest"], update=["size"]) == 1
        )
        assert upsert(session, Artifact, [], keys=["digest"]) == 0
        assert session.execute(select(Artifact.size)).scalar_one() == 3


def test_non_finite_numbers_become_null() -> None:
    assert sanitize_json({"a": [1.5, float("nan"), (float("inf"), None)], "b": "nan"}) == {
        "a": [1.5, None, [None, None]],
        "b": "nan",
    }


def test_nul_characters_in_text_are_replaced(
    harness: RegistryHarness,
) -> None:
    claim = harness.start_job(name="a\0b")
    error = {"code": "internal_error", "message": "\0", "hint": "", "retryable": False}
    harness.run(claims.fail, claim, error=error, log_tail=["one\0two"])
    job = harness.get_job(claim.job_id)
    assert job.name == "a\N{REPLACEMENT CHARACTER}b"
    assert job.error is not None
    assert job.error["log"] == ["one\N{REPLACEMENT CHARACTER}two"]
    with harness.database.read() as session:
        assert session.get(Job, "job_\0") is None
