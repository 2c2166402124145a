"""The database: engine, sessions that begin as they should, its clock, and the migrations."""

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, CursorResult, Dialect, Engine, Result, Table, create_engine, event, inspect, make_url, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import DateTime, String, TypeDecorator

from registry.errors import DatabaseBehind

BUSY_TIMEOUT_SECONDS = 30
_MIGRATIONS = Path(__file__).resolve().parents[1] / "migrations"  # beside this package in a checkout and in a wheel
_WRITES = "dlkd_writes"
AS_WRITER = {_WRITES: True}  # execution options of connections that begin their transactions as writers


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, with its zone on both databases. SQLite keeps it as text that sorts by time."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class PlainText(TypeDecorator[str]):
    """Text of clients. PostgreSQL holds no U+0000: U+FFFD stands in its place, on both databases."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else _without_nul(value)


def _without_nul(text: str) -> str:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


class _DatabaseNow(FunctionElement[datetime]):
    type = UtcDateTime()
    inherit_cache = True


@compiles(_DatabaseNow, "sqlite")
def _now_of_sqlite(_element: _DatabaseNow, _compiler: SQLCompiler, **_: Any) -> str:
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"  # the six digits of a second that SQLAlchemy writes


@compiles(_DatabaseNow, "postgresql")
def _now_of_postgresql(_element: _DatabaseNow, _compiler: SQLCompiler, **_: Any) -> str:
    return "clock_timestamp()"


def now(session: Session) -> datetime:
    """The database's time: leases must not depend on the workers' clocks."""
    return session.execute(select(_DatabaseNow())).scalar_one()


def finite(value: Any) -> Any:
    """The same JSON value without what a database cannot hold: null in place of NaN and infinities, U+FFFD in place of U+0000."""
    if isinstance(value, str):
        return _without_nul(value)
    if isinstance(value, dict):
        return {finite(key): finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _dumps(value: Any) -> str:
    return json.dumps(finite(value), allow_nan=False)


def make_engine(url: str) -> Engine:
    """An engine of SQLite (WAL, foreign keys, transactions of our own) or PostgreSQL (psycopg)."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite_engine(url)
    if parsed.drivername in {"postgres", "postgresql"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    return create_engine(parsed, json_serializer=_dumps, pool_pre_ping=True)


def _sqlite_engine(url: str) -> Engine:
    database = make_url(url).database
    if database:
        Path(database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, json_serializer=_dumps, connect_args={"timeout": BUSY_TIMEOUT_SECONDS})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions: _begin_sqlite does
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later fails at once when another wrote in between: writers begin as writers.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


class Database:
    """Sessions for reading and for writing. The doors hold one; nothing else commits."""

    def __init__(self, url: str) -> None:
        self.engine = make_engine(url)
        self._readers = sessionmaker(self.engine, expire_on_commit=False)
        self._writers = sessionmaker(self.engine.execution_options(**AS_WRITER), expire_on_commit=False)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that only reads; nothing is kept."""
        with self._readers() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction: committed at the end of the block, rolled back by an exception."""
        with self._writers.begin() as session:
            yield session

    def close(self) -> None:
        """Gives all connections back."""
        self.engine.dispose()


def upsert(
    session: Session, table: type, rows: Sequence[dict[str, Any]], *, keys: Sequence[str], update: Sequence[str] = ()
) -> int:
    """Inserts the rows; where one with the same keys exists, overwrites `update`, or leaves it where that is empty.

    Returns how many rows were written.
    """
    if not rows:
        return 0
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    # The bare table: the ORM's own insert does not tell how many rows it wrote.
    statement = insert(cast("Table", inspect(table).local_table)).values(list(rows))
    if update:
        statement = statement.on_conflict_do_update(index_elements=keys, set_={name: statement.excluded[name] for name in update})
    else:
        statement = statement.on_conflict_do_nothing(index_elements=keys)
    return rows_of(session.execute(statement, execution_options={"preserve_rowcount": True}))


def rows_of(result: Result[Any]) -> int:
    """How many rows a statement wrote."""
    return cast("CursorResult[Any]", result).rowcount


def alembic_config(url: str) -> Config:
    """Alembic's configuration without a file: the scripts lie beside this package."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["url"] = url
    return config


def upgrade(url: str, revision: str = "head") -> None:
    """Brings the database to a revision, from nothing if it must."""
    command.upgrade(alembic_config(url), revision)


def check_head(engine: Engine) -> None:
    """Raises `DatabaseBehind` unless the database is at the head of the migrations."""
    head = ScriptDirectory(str(_MIGRATIONS)).get_current_head()
    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    if current != head:
        raise DatabaseBehind(f"The database is at revision {current}, the program at {head}.")
