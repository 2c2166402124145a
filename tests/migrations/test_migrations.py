"""The migrations, forwards and back, on both databases."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import create_engine, inspect, make_url, text

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
