"""The database: engine, sessions, clock and query helpers."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, cast

from sqlalchemy import (
    Connection,
    CursorResult,
    Engine,
    Result,
    Select,
    Table,
    create_engine,
    event,
    inspect,
    make_url,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute, Session, sessionmaker
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from registry.db.column_types import UtcDateTime, sanitize_json
from registry.errors import NotFound

BUSY_TIMEOUT_SECONDS = 30
_WRITER_OPTION = "dlkd_writes"
# Execution options for connections whose transactions take SQLite's write lock at the start.
WRITER_OPTIONS = {_WRITER_OPTION: True}
RowT = TypeVar("RowT")


class _DatabaseNow(FunctionElement[datetime]):
    type = UtcDateTime()
    inherit_cache = True


@compiles(_DatabaseNow, "sqlite")
def _compile_now_sqlite(_element: _DatabaseNow, _compiler: SQLCompiler, **_: Any) -> str:
    # SQLAlchemy stores six fractional digits of the second. SQLite's %f yields only three.
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"


@compiles(_DatabaseNow, "postgresql")
def _compile_now_postgresql(_element: _DatabaseNow, _compiler: SQLCompiler, **_: Any) -> str:
    return "clock_timestamp()"


def now(session: Session) -> datetime:
    """Return the database's current time.

    Using it makes leases independent of the workers' clocks.
    """
    return session.execute(select(_DatabaseNow())).scalar_one()


def make_engine(url: str) -> Engine:
    """Create an engine for SQLite (in WAL mode, with foreign keys) or PostgreSQL (psycopg)."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite_engine(url)
    if parsed.drivername in {"postgres", "postgresql"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    return create_engine(parsed, json_serializer=_dump_json, pool_pre_ping=True)


def _sqlite_engine(url: str) -> Engine:
    database = make_url(url).database
    if database:
        Path(database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url, json_serializer=_dump_json, connect_args={"timeout": BUSY_TIMEOUT_SECONDS}
    )
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _dump_json(value: Any) -> str:
    return json.dumps(sanitize_json(value), allow_nan=False)


def _configure_sqlite(connection: Any, _record: Any) -> None:
    # The driver must not begin transactions, because _begin_sqlite does.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads before it writes fails if another transaction wrote in between, so
    # writers take the write lock from the start.
    writes = connection.get_execution_options().get(_WRITER_OPTION, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


class Database:
    """Sessions for reading and for writing.

    Entry points (API, worker, commands) hold an instance. Only they commit.
    """

    def __init__(self, url: str) -> None:
        self.engine = make_engine(url)
        self._readers = sessionmaker(self.engine, expire_on_commit=False)
        self._writers = sessionmaker(
            self.engine.execution_options(**WRITER_OPTIONS), expire_on_commit=False
        )

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a session for reading. Changes are discarded."""
        with self._readers() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a transaction that commits at the end of the block and rolls back on an error."""
        with self._writers.begin() as session:
            yield session

    def close(self) -> None:
        self.engine.dispose()


def lock_row(session: Session, query: Select[RowT]) -> RowT | None:
    """Lock the row that the query selects until the transaction ends.

    Returns the row as it is once the lock has been granted, or None if no row matches.
    """
    locked = query.with_for_update().execution_options(populate_existing=True)
    return session.execute(locked).scalar_one_or_none()


def require_row(row: RowT | None, description: str) -> RowT:
    """Return the row, which must not be None.

    Raises:
        NotFound: The row is None. The message refers to it by `description`.
    """
    if row is None:
        raise NotFound(f"There is no {description}.")
    return row


def filter_equal(
    query: Select[RowT], *filters: tuple[InstrumentedAttribute[Any], object]
) -> Select[RowT]:
    """Restrict the query to rows whose columns equal the given values.

    Each filter is a (column, value) pair. Filters whose value is None are ignored.
    """
    return query.where(*(column == value for column, value in filters if value is not None))


def group_values(
    session: Session, query: Select[str, str], keys: Sequence[str]
) -> dict[str, list[str]]:
    """Group the (key, value) rows of a query by key and return the values of each key.

    The values keep the order of the rows. Keys without rows get an empty list.
    """
    groups: dict[str, list[str]] = {key: [] for key in keys}
    for key, value in session.execute(query):
        groups[key].append(value)
    return groups


def insert_into(session: Session, table: Any) -> postgresql.Insert | sqlite.Insert:
    """Return the database dialect's INSERT statement, which supports ON CONFLICT clauses."""
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    return postgresql.insert(table) if is_postgresql else sqlite.insert(table)


def upsert(
    session: Session,
    table: type,
    rows: Sequence[dict[str, Any]],
    *,
    keys: Sequence[str],
    update: Sequence[str] = (),
) -> int:
    """Insert the rows and return how many were written.

    If a row with the same values in the `keys` columns exists, its `update` columns are
    overwritten. If `update` is empty, the existing row does not change.
    """
    if not rows:
        return 0
    # The ORM's own insert does not report how many rows it wrote, so this uses the bare table.
    bare_table = cast("Table", inspect(table).local_table)
    statement = insert_into(session, bare_table).values(list(rows))
    if update:
        statement = statement.on_conflict_do_update(
            index_elements=keys, set_={name: statement.excluded[name] for name in update}
        )
    else:
        statement = statement.on_conflict_do_nothing(index_elements=keys)
    return row_count(session.execute(statement, execution_options={"preserve_rowcount": True}))


def row_count(result: Result[Any]) -> int:
    """Return how many rows a statement wrote."""
    return cast("CursorResult[Any]", result).rowcount
