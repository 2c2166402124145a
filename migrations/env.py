"""Alembic's way into the tables. The URL comes from `registry.db.alembic_config`, or from the settings on the command line."""

from typing import Any, Literal

from alembic import context
from alembic.runtime.migration import MigrationContext
from sqlalchemy import JSON, Engine, event, text

from registry.base import AutoId
from registry.db import AS_WRITER, UtcDateTime, make_engine
from registry.settings import Settings
from registry.tables import Base


def short_name(kind: str, item: Any, _autogenerate: Any) -> str | Literal[False]:
    """The names that script.py.mako gives to the types of this project."""
    if kind != "type":
        return False
    if isinstance(item, UtcDateTime):
        return "MOMENT"
    if isinstance(item, JSON):
        return "JSON"
    return "AUTO_ID" if item is AutoId else False


def unchecked(engine: Engine) -> None:
    """On SQLite keys are looked at after each migration: a table that is copied goes and comes again while others name it."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=OFF"))


def check_keys(ctx: MigrationContext, **_: Any) -> None:
    """Nothing is kept of a migration that leaves rows which name what is not there."""
    found = ctx.bind.execute(text("PRAGMA foreign_key_check")).all() if ctx.dialect.name == "sqlite" and ctx.bind else []
    if found:
        raise RuntimeError(f"The migration would leave {len(found)} broken keys, the first of them in {found[0][0]}.")


def run() -> None:
    """Runs the migrations in one transaction, on SQLite with tables copied where it cannot alter them.

    Of several programs that start at once, the first does the work and the others wait for it.
    """
    engine = make_engine(context.config.attributes.get("url") or Settings().database_url)
    unchecked(engine)
    with engine.connect().execution_options(**AS_WRITER) as connection:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=True,
            render_item=short_name,
            transactional_ddl=True,
            on_version_apply=check_keys,
        )
        with context.begin_transaction():
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('dlkd.migrations'))"))
            context.run_migrations()
    engine.dispose()


if context.is_offline_mode():
    raise SystemExit("Offline scripts are not made here: give the database's URL and run the migrations on it.")
run()
