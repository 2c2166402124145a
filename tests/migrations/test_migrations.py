"""The migrations, forwards and back, on both databases."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Engine, MetaData, Table, create_engine, insert, inspect, make_url, select, text, update
from sqlalchemy.exc import IntegrityError

from registry.db import alembic_config, check_head, make_engine, upgrade
from registry.errors import DatabaseBehind
from registry.tables import Base


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server = make_url(request.getfixturevalue("postgresql")).set(drivername="postgresql+psycopg")
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE migrations"))
    yield server.set(database="migrations").render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(text("DROP DATABASE migrations WITH (FORCE)"))
    engine.dispose()


def tables(url: str) -> set[str]:
    engine = make_engine(url)
    try:
        return set(inspect(engine).get_table_names()) - {"alembic_version"}
    finally:
        engine.dispose()


def revision_of(url: str) -> str:
    engine = make_engine(url)
    with engine.connect() as connection:
        found: str = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    engine.dispose()
    return found


def test_they_lead_up_and_down_and_up_again(empty_url: str) -> None:
    everything = set(Base.metadata.tables)
    upgrade(empty_url)
    assert tables(empty_url) == everything
    command.downgrade(alembic_config(empty_url), "base")
    assert tables(empty_url) == set()
    upgrade(empty_url)
    assert tables(empty_url) == everything


def test_they_make_exactly_the_tables_of_the_program(empty_url: str) -> None:
    upgrade(empty_url)
    command.check(alembic_config(empty_url))  # raises where anything differs


def test_a_database_behind_the_program_is_refused(empty_url: str) -> None:
    engine = make_engine(empty_url)
    with pytest.raises(DatabaseBehind):
        check_head(engine)
    upgrade(empty_url)
    check_head(engine)
    engine.dispose()


def test_programs_that_start_together_do_not_migrate_twice(empty_url: str) -> None:
    start = "import sys; from registry.db import upgrade; upgrade(sys.argv[1])"
    programs = [subprocess.Popen([sys.executable, "-c", start, empty_url], stderr=subprocess.PIPE) for _ in range(3)]
    assert [(program.communicate()[1], program.returncode) for program in programs] == [(b"", 0)] * 3
    assert tables(empty_url) == set(Base.metadata.tables)


BEFORE = {
    "owner": "key_1",
    "name": "",
    "status": "queued",
    "queue": "train",
    "priority": 0,
    "attempt": 1,
    "spent": 0,
    "max_attempts": 3,
    "progress": {},
    "last_event": 1,
    "created_at": datetime(2026, 1, 1, tzinfo=UTC),
}
SPEC = {"method": {"name": "dlkd"}, "student": {"architecture": "resnet8"}}
ATTEMPT = {"job_id": "job_1", "number": 1, "worker_id": "worker_1", "status": "returned", "started_at": BEFORE["created_at"]}


def reflected(engine: Engine, name: str) -> Table:
    """The table as it is in the database now."""
    return Table(name, MetaData(), autoload_with=engine)


def test_jobs_of_before_keep_what_they_have_and_are_found_by_method_and_student(empty_url: str) -> None:
    upgrade(empty_url, "0001")
    engine = make_engine(empty_url)
    jobs = [{"id": "job_1", "kind": "distill", "spec": SPEC}, {"id": "job_2", "kind": "check_teacher", "spec": {}}]
    with engine.begin() as connection:
        connection.execute(insert(reflected(engine, "jobs")), [BEFORE | job for job in jobs])
        connection.execute(insert(reflected(engine, "attempts")), [ATTEMPT])
    upgrade(empty_url)
    table = reflected(engine, "jobs")
    names = ("id", "method", "student", "notes", "device", "gpus", "stalled", "last_log", "forced")
    with engine.begin() as connection:
        rows = connection.execute(select(*(table.c[name] for name in names)).order_by(table.c.id)).all()
        assert [tuple(row) for row in rows] == [
            ("job_1", "dlkd", "resnet8", "", "auto", 1, 0, 0, False),
            ("job_2", None, None, "", "auto", 1, 0, 0, False),
        ]
        connection.execute(update(table).values(queue="train-cuda"))
    command.downgrade(alembic_config(empty_url), "0001")
    with engine.begin() as connection:
        assert connection.execute(text("SELECT DISTINCT queue FROM jobs")).scalars().all() == ["train"]
        assert connection.execute(text("SELECT job_id FROM attempts")).scalars().all() == ["job_1"]
    engine.dispose()


MODEL = {
    "owner": "key_1",
    "architecture": "timm/resnet26",
    "options": {},
    "parameters": 1,
    "classes": [],
    "metrics": {},
    "report": {},
}


def test_models_of_before_are_numbered_under_the_names_of_their_jobs(empty_url: str) -> None:
    upgrade(empty_url, "0003")
    engine = make_engine(empty_url)
    names = {"1": "My pets!", "2": "", "3": "My pets!"}
    jobs = [BEFORE | {"id": f"job_{number}", "kind": "distill", "spec": SPEC, "method": "kd", "student": "x"} for number in names]
    with engine.begin() as connection:
        connection.execute(insert(reflected(engine, "jobs")), jobs)
        connection.execute(
            insert(reflected(engine, "models")),
            [
                MODEL | {"id": f"model_{number}", "job_id": f"job_{number}", "name": name, "created_at": BEFORE["created_at"]}
                for number, name in names.items()
            ],
        )
    upgrade(empty_url)
    models, counted = reflected(engine, "models"), reflected(engine, "model_names")
    with engine.begin() as connection:
        found = connection.execute(select(models.c.id, models.c.name, models.c.version, models.c.notes).order_by(models.c.id))
        named = [("model_1", "My-pets", 1, ""), ("model_2", "timm-resnet26", 1, ""), ("model_3", "My-pets", 2, "")]
        assert [tuple(row) for row in found.all()] == named
        last = connection.execute(select(counted.c.name, counted.c.last_version).order_by(counted.c.name)).all()
        assert [tuple(row) for row in last] == [("My-pets", 2), ("timm-resnet26", 1)]
    command.downgrade(alembic_config(empty_url), "0003")
    with engine.begin() as connection:
        assert len(connection.execute(text("SELECT id FROM models")).all()) == 3
    engine.dispose()


def test_keys_of_before_stay_admins_and_narrower_ones_do_not_survive_the_way_back(empty_url: str) -> None:
    upgrade(empty_url, "0002")
    engine = make_engine(empty_url)
    key = {"id": "key_1", "name": "k", "prefix": "1", "hash": "h", "scopes": ["submit"], "created_at": BEFORE["created_at"]}
    audit = {"at": BEFORE["created_at"], "actor": "key_1", "action": "key.created", "subject": "key_1", "data": {}}
    with engine.begin() as connection:
        connection.execute(insert(reflected(engine, "api_keys")), [key])
        connection.execute(insert(reflected(engine, "audit_events")), [audit])
    upgrade(empty_url, "0003")
    table = reflected(engine, "api_keys")
    with engine.begin() as connection:
        row = connection.execute(select(table.c.role, table.c.owner, table.c.scopes)).one()
        assert tuple(row) == ("admin", "key_1", [])
        fresh = {**key, "scopes": [], "role": "admin", "owner": "o"}
        narrow = [
            {**fresh, "id": "key_2", "prefix": "2", "role": "viewer"},
            {**fresh, "id": "key_3", "prefix": "3", "scopes": ["jobs:read"]},
        ]
        connection.execute(insert(table), narrow)
        hook = {"id": "webhook_1", "owner": "o", "url": "https://example.com", "events": [], "secret": "s", "enabled": True}
        connection.execute(insert(reflected(engine, "webhooks")), [{**hook, "created_at": key["created_at"]}])
    command.downgrade(alembic_config(empty_url), "0002")
    with engine.begin() as connection:
        assert connection.execute(text("SELECT id FROM api_keys")).scalars().all() == ["key_1"]
        assert connection.execute(text("SELECT action FROM audit_events")).scalars().all() == ["key.created"]
    engine.dispose()


def test_models_keep_all_that_hangs_on_them_when_they_need_no_job_any_more(empty_url: str) -> None:
    upgrade(empty_url, "0004")
    engine = make_engine(empty_url)
    at = BEFORE["created_at"]
    digest = "0" * 64
    model = MODEL | {"id": "model_1", "job_id": "job_1", "name": "pets", "version": 1, "created_at": at}
    rows = {
        "jobs": BEFORE | {"id": "job_1", "kind": "distill", "spec": SPEC},
        "artifacts": {"digest": digest, "size": 1, "created_at": at},
        "models": model,
        "model_files": {"model_id": "model_1", "name": "a", "format": "onnx", "sha256": digest, "size": 1},
        "model_aliases": {"owner": "key_1", "name": "pets", "alias": "best", "model_id": "model_1", "updated_at": at},
        "model_tags": {"model_id": "model_1", "tag": "small"},
    }
    hanging = ("model_files", "model_aliases", "model_tags")
    with engine.begin() as connection:
        for table, row in rows.items():
            connection.execute(insert(reflected(engine, table)), [row])
        before = {table: connection.execute(select(reflected(engine, table))).all() for table in hanging}
    upgrade(empty_url)
    imported = model | {"id": "model_2", "job_id": None, "version": 2, "imported": {"sha256": digest}}
    with engine.begin() as connection:
        assert {table: connection.execute(select(reflected(engine, table))).all() for table in hanging} == before
        connection.execute(insert(reflected(engine, "models")), [imported])
        connection.execute(insert(reflected(engine, "model_tags")), [{"model_id": "model_2", "tag": "new"}])
    command.downgrade(alembic_config(empty_url), "0004")
    with engine.begin() as connection:
        assert {table: connection.execute(select(reflected(engine, table))).all() for table in hanging} == before
        assert connection.execute(text("SELECT id, job_id FROM models")).all() == [("model_1", "job_1")]
    engine.dispose()


def test_jobs_may_name_what_was_deleted_and_forget_it_on_the_way_back(empty_url: str) -> None:
    """All that hangs on them stays, and so do their indexes."""
    upgrade(empty_url, "0008")
    engine = make_engine(empty_url)
    at = BEFORE["created_at"]
    upload = {"owner": "key_1", "name": "n", "filename": "f", "sha256": "0" * 64, "size": 1, "status": "ready", "created_at": at}
    upload["check_job_id"] = "job_0"
    job = BEFORE | {"kind": "distill", "spec": SPEC, "teacher_id": "teacher_1"}
    rows = {
        "teachers": [upload | {"id": "teacher_1", "format": "torch", "options": {}}],
        "datasets": [upload | {"id": f"dataset_{number}"} for number in (1, 2)],
        "jobs": [job | {"id": f"job_{number}", "dataset_id": f"dataset_{number}"} for number in (1, 2)],
        "job_labels": [{"job_id": "job_1", "key": "team", "value": "vision"}],
        "attempts": [ATTEMPT],
        "job_events": [{"job_id": "job_1", "seq": 1, "attempt": 1, "at": at, "type": "status", "data": {}}],
        "job_logs": [{"job_id": "job_1", "seq": 1, "attempt": 1, "at": at, "line": "one"}],
        "metrics": [{"job_id": "job_1", "name": "loss", "step": 1, "epoch": 1, "attempt": 1, "value": 0.5}],
        "models": [MODEL | {"id": "model_1", "job_id": "job_1", "name": "pets", "version": 1, "created_at": at}],
    }
    with engine.begin() as connection:
        for table, some in rows.items():
            connection.execute(insert(reflected(engine, table)), some)

    def kept() -> tuple[object, object]:
        with engine.begin() as connection:
            found = {name: connection.execute(select(reflected(engine, name))).all() for name in rows}
        return found, sorted(index["name"] or "" for index in inspect(engine).get_indexes("jobs"))

    before = kept()
    upgrade(empty_url)
    assert kept() == before
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM datasets WHERE id = 'dataset_1'"))
    command.downgrade(alembic_config(empty_url), "0008")
    with engine.begin() as connection:
        named = connection.execute(text("SELECT id, teacher_id, dataset_id FROM jobs ORDER BY id")).all()
        assert [tuple(row) for row in named] == [("job_1", "teacher_1", None), ("job_2", "teacher_1", "dataset_2")]
        assert connection.execute(text("SELECT job_id FROM metrics UNION SELECT job_id FROM models")).scalars().all() == ["job_1"]
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(text("DELETE FROM datasets WHERE id = 'dataset_2'"))
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(text("DELETE FROM jobs WHERE id = 'job_1'"))
    engine.dispose()


def test_a_migration_that_breaks_a_key_is_undone(tmp_path: Path) -> None:
    """SQLite does not look at keys while tables are copied, so the migrations do."""
    url = f"sqlite:///{tmp_path / 'broken.db'}"
    upgrade(url, "0008")
    engine = make_engine(url)
    with engine.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")  # within a transaction it cannot be set
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql("INSERT INTO job_labels VALUES ('job_none', 'team', 'vision')")
    engine.dispose()
    with pytest.raises(RuntimeError, match="job_labels"):
        upgrade(url)
    assert revision_of(url) == "0008"
