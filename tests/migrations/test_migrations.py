"""Schema upgrades and downgrades on SQLite and PostgreSQL."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import (
    Engine,
    MetaData,
    Table,
    create_engine,
    insert,
    inspect,
    make_url,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError

from registry.db.database import make_engine
from registry.db.schema_migrations import alembic_config, check_revision, upgrade
from registry.db.tables import Base
from registry.errors import DatabaseOutdated


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Yield the URL of an empty database."""
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


def list_tables(url: str) -> set[str]:
    engine = make_engine(url)
    try:
        return set(inspect(engine).get_table_names()) - {"alembic_version"}
    finally:
        engine.dispose()


def get_revision(url: str) -> str:
    engine = make_engine(url)
    with engine.connect() as connection:
        revision: str = connection.execute(
            text("SELECT version_num FROM alembic_version")
        ).scalar_one()
    engine.dispose()
    return revision


def test_migrations_run_up_and_down_and_up_again(empty_url: str) -> None:
    all_tables = set(Base.metadata.tables)
    upgrade(empty_url)
    assert list_tables(empty_url) == all_tables
    command.downgrade(alembic_config(empty_url), "base")
    assert list_tables(empty_url) == set()
    upgrade(empty_url)
    assert list_tables(empty_url) == all_tables


def test_the_migrated_schema_matches_the_tables(empty_url: str) -> None:
    upgrade(empty_url)
    command.check(alembic_config(empty_url))  # raises an error if the schema differs


def test_an_outdated_database_is_refused(empty_url: str) -> None:
    engine = make_engine(empty_url)
    with pytest.raises(DatabaseOutdated):
        check_revision(engine)
    upgrade(empty_url)
    check_revision(engine)
    engine.dispose()


def test_processes_that_start_together_migrate_once(empty_url: str) -> None:
    code = "import sys; from registry.db.schema_migrations import upgrade; upgrade(sys.argv[1])"
    processes = [
        subprocess.Popen([sys.executable, "-c", code, empty_url], stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    results = [(process.communicate()[1], process.returncode) for process in processes]
    assert results == [(b"", 0)] * 3
    assert list_tables(empty_url) == set(Base.metadata.tables)


OLD_JOB = {
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
ATTEMPT = {
    "job_id": "job_1",
    "number": 1,
    "worker_id": "worker_1",
    "status": "returned",
    "started_at": OLD_JOB["created_at"],
}


def reflect_table(engine: Engine, name: str) -> Table:
    """Read the current definition of a table from the database."""
    return Table(name, MetaData(), autoload_with=engine)


def test_existing_jobs_keep_their_data_and_get_method_and_student(
    empty_url: str,
) -> None:
    upgrade(empty_url, "0001")
    engine = make_engine(empty_url)
    jobs = [
        {"id": "job_1", "kind": "distill", "spec": SPEC},
        {"id": "job_2", "kind": "check_teacher", "spec": {}},
    ]
    with engine.begin() as connection:
        connection.execute(insert(reflect_table(engine, "jobs")), [OLD_JOB | job for job in jobs])
        connection.execute(insert(reflect_table(engine, "attempts")), [ATTEMPT])
    upgrade(empty_url)
    table = reflect_table(engine, "jobs")
    names = ("id", "method", "student", "notes", "device", "gpus", "stalled", "last_log", "forced")
    with engine.begin() as connection:
        rows = connection.execute(
            select(*(table.c[name] for name in names)).order_by(table.c.id)
        ).all()
        assert [tuple(row) for row in rows] == [
            ("job_1", "dlkd", "resnet8", "", "auto", 1, 0, 0, False),
            ("job_2", None, None, "", "auto", 1, 0, 0, False),
        ]
        connection.execute(update(table).values(queue="train-cuda"))
    command.downgrade(alembic_config(empty_url), "0001")
    with engine.begin() as connection:
        assert connection.execute(text("SELECT DISTINCT queue FROM jobs")).scalars().all() == [
            "train"
        ]
        assert connection.execute(text("SELECT job_id FROM attempts")).scalars().all() == ["job_1"]
    engine.dispose()


OLD_MODEL = {
    "owner": "key_1",
    "architecture": "timm/resnet26",
    "options": {},
    "parameters": 1,
    "classes": [],
    "metrics": {},
    "report": {},
}


def test_existing_models_are_versioned_under_the_names_of_their_jobs(empty_url: str) -> None:
    upgrade(empty_url, "0003")
    engine = make_engine(empty_url)
    names = {"1": "My pets!", "2": "", "3": "My pets!"}
    jobs = [
        OLD_JOB
        | {"id": f"job_{number}", "kind": "distill", "spec": SPEC, "method": "kd", "student": "x"}
        for number in names
    ]
    with engine.begin() as connection:
        connection.execute(insert(reflect_table(engine, "jobs")), jobs)
        connection.execute(
            insert(reflect_table(engine, "models")),
            [
                OLD_MODEL
                | {
                    "id": f"model_{number}",
                    "job_id": f"job_{number}",
                    "name": name,
                    "created_at": OLD_JOB["created_at"],
                }
                for number, name in names.items()
            ],
        )
    upgrade(empty_url)
    models, model_names = reflect_table(engine, "models"), reflect_table(engine, "model_names")
    with engine.begin() as connection:
        rows = connection.execute(
            select(models.c.id, models.c.name, models.c.version, models.c.notes).order_by(
                models.c.id
            )
        )
        expected = [
            ("model_1", "My-pets", 1, ""),
            ("model_2", "timm-resnet26", 1, ""),
            ("model_3", "My-pets", 2, ""),
        ]
        assert [tuple(row) for row in rows.all()] == expected
        last = connection.execute(
            select(model_names.c.name, model_names.c.last_version).order_by(model_names.c.name)
        ).all()
        assert [tuple(row) for row in last] == [("My-pets", 2), ("timm-resnet26", 1)]
    command.downgrade(alembic_config(empty_url), "0003")
    with engine.begin() as connection:
        assert len(connection.execute(text("SELECT id FROM models")).all()) == 3
    engine.dispose()


def test_existing_keys_become_admins_and_restricted_keys_are_deleted_by_the_downgrade(
    empty_url: str,
) -> None:
    upgrade(empty_url, "0002")
    engine = make_engine(empty_url)
    key = {
        "id": "key_1",
        "name": "k",
        "prefix": "1",
        "hash": "h",
        "scopes": ["submit"],
        "created_at": OLD_JOB["created_at"],
    }
    audit = {
        "at": OLD_JOB["created_at"],
        "actor": "key_1",
        "action": "key.created",
        "subject": "key_1",
        "data": {},
    }
    with engine.begin() as connection:
        connection.execute(insert(reflect_table(engine, "api_keys")), [key])
        connection.execute(insert(reflect_table(engine, "audit_events")), [audit])
    upgrade(empty_url, "0003")
    table = reflect_table(engine, "api_keys")
    with engine.begin() as connection:
        row = connection.execute(select(table.c.role, table.c.owner, table.c.scopes)).one()
        assert tuple(row) == ("admin", "key_1", [])
        admin = {**key, "scopes": [], "role": "admin", "owner": "o"}
        restricted = [
            {**admin, "id": "key_2", "prefix": "2", "role": "viewer"},
            {**admin, "id": "key_3", "prefix": "3", "scopes": ["jobs:read"]},
        ]
        connection.execute(insert(table), restricted)
        hook = {
            "id": "webhook_1",
            "owner": "o",
            "url": "https://example.com",
            "events": [],
            "secret": "s",
            "enabled": True,
        }
        connection.execute(
            insert(reflect_table(engine, "webhooks")), [{**hook, "created_at": key["created_at"]}]
        )
    command.downgrade(alembic_config(empty_url), "0002")
    with engine.begin() as connection:
        assert connection.execute(text("SELECT id FROM api_keys")).scalars().all() == ["key_1"]
        assert connection.execute(text("SELECT action FROM audit_events")).scalars().all() == [
            "key.created"
        ]
    engine.dispose()


def test_models_keep_their_dependent_rows_when_the_job_becomes_optional(empty_url: str) -> None:
    upgrade(empty_url, "0004")
    engine = make_engine(empty_url)
    at = OLD_JOB["created_at"]
    digest = "0" * 64
    model = OLD_MODEL | {
        "id": "model_1",
        "job_id": "job_1",
        "name": "pets",
        "version": 1,
        "created_at": at,
    }
    rows = {
        "jobs": OLD_JOB | {"id": "job_1", "kind": "distill", "spec": SPEC},
        "artifacts": {"digest": digest, "size": 1, "created_at": at},
        "models": model,
        "model_files": {
            "model_id": "model_1",
            "name": "a",
            "format": "onnx",
            "sha256": digest,
            "size": 1,
        },
        "model_aliases": {
            "owner": "key_1",
            "name": "pets",
            "alias": "best",
            "model_id": "model_1",
            "updated_at": at,
        },
        "model_tags": {"model_id": "model_1", "tag": "small"},
    }
    dependent_tables = ("model_files", "model_aliases", "model_tags")
    with engine.begin() as connection:
        for table, row in rows.items():
            connection.execute(insert(reflect_table(engine, table)), [row])
        before = {
            table: connection.execute(select(reflect_table(engine, table))).all()
            for table in dependent_tables
        }
    upgrade(empty_url)
    imported = model | {
        "id": "model_2",
        "job_id": None,
        "version": 2,
        "imported": {"sha256": digest},
    }
    with engine.begin() as connection:
        assert {
            table: connection.execute(select(reflect_table(engine, table))).all()
            for table in dependent_tables
        } == before
        connection.execute(insert(reflect_table(engine, "models")), [imported])
        connection.execute(
            insert(reflect_table(engine, "model_tags")), [{"model_id": "model_2", "tag": "new"}]
        )
    command.downgrade(alembic_config(empty_url), "0004")
    with engine.begin() as connection:
        assert {
            table: connection.execute(select(reflect_table(engine, table))).all()
            for table in dependent_tables
        } == before
        assert connection.execute(text("SELECT id, job_id FROM models")).all() == [
            ("model_1", "job_1")
        ]
    engine.dispose()


def test_jobs_may_reference_deleted_inputs_until_the_downgrade(empty_url: str) -> None:
    """The upgrade also keeps the indexes and the rows that depend on jobs."""
    upgrade(empty_url, "0008")
    engine = make_engine(empty_url)
    at = OLD_JOB["created_at"]
    upload = {
        "owner": "key_1",
        "name": "n",
        "filename": "f",
        "sha256": "0" * 64,
        "size": 1,
        "status": "ready",
        "created_at": at,
    }
    upload["check_job_id"] = "job_0"
    job = OLD_JOB | {"kind": "distill", "spec": SPEC, "teacher_id": "teacher_1"}
    rows = {
        "teachers": [upload | {"id": "teacher_1", "format": "torch", "options": {}}],
        "datasets": [upload | {"id": f"dataset_{number}"} for number in (1, 2)],
        "jobs": [
            job | {"id": f"job_{number}", "dataset_id": f"dataset_{number}"} for number in (1, 2)
        ],
        "job_labels": [{"job_id": "job_1", "key": "team", "value": "vision"}],
        "attempts": [ATTEMPT],
        "job_events": [
            {"job_id": "job_1", "seq": 1, "attempt": 1, "at": at, "type": "status", "data": {}}
        ],
        "job_logs": [{"job_id": "job_1", "seq": 1, "attempt": 1, "at": at, "line": "one"}],
        "metrics": [
            {"job_id": "job_1", "name": "loss", "step": 1, "epoch": 1, "attempt": 1, "value": 0.5}
        ],
        "models": [
            OLD_MODEL
            | {"id": "model_1", "job_id": "job_1", "name": "pets", "version": 1, "created_at": at}
        ],
    }
    with engine.begin() as connection:
        for table, table_rows in rows.items():
            connection.execute(insert(reflect_table(engine, table)), table_rows)

    def read_state() -> tuple[object, object]:
        with engine.begin() as connection:
            tables = {
                name: connection.execute(select(reflect_table(engine, name))).all() for name in rows
            }
        return tables, sorted(index["name"] or "" for index in inspect(engine).get_indexes("jobs"))

    before = read_state()
    upgrade(empty_url, "0009")
    assert read_state() == before
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM datasets WHERE id = 'dataset_1'"))
    command.downgrade(alembic_config(empty_url), "0008")
    with engine.begin() as connection:
        references = connection.execute(
            text("SELECT id, teacher_id, dataset_id FROM jobs ORDER BY id")
        ).all()
        assert [tuple(row) for row in references] == [
            ("job_1", "teacher_1", None),
            ("job_2", "teacher_1", "dataset_2"),
        ]
        assert connection.execute(
            text("SELECT job_id FROM metrics UNION SELECT job_id FROM models")
        ).scalars().all() == ["job_1"]
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(text("DELETE FROM datasets WHERE id = 'dataset_2'"))
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(text("DELETE FROM jobs WHERE id = 'job_1'"))
    engine.dispose()


def test_a_migration_that_breaks_a_foreign_key_is_rolled_back(tmp_path: Path) -> None:
    """SQLite does not check foreign keys while tables are copied, so the migration checks them."""
    url = f"sqlite:///{tmp_path / 'broken.db'}"
    upgrade(url, "0008")
    engine = make_engine(url)
    with engine.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")  # the pragma works only outside of a transaction
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql("INSERT INTO job_labels VALUES ('job_none', 'team', 'vision')")
    engine.dispose()
    with pytest.raises(RuntimeError, match="job_labels"):
        upgrade(url)
    assert get_revision(url) == "0008"
