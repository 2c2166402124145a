"""Alembic environment.

The database URL comes from `registry.db.schema_migrations.alembic_config`, or from the settings if
Alembic runs from the command line.
"""

from typing import Any, Literal

from alembic import context
from alembic.runtime.migration import MigrationContext
from sqlalchemy import JSON, Engine, event, text

from registry.db.base import AutoId
from registry.db.column_types import UtcDateTime
from registry.db.database import WRITER_OPTIONS, make_engine
from registry.db.tables import Base
from registry.settings import Settings


def render_type_name(kind: str, item: Any, _autogenerate: Any) -> str | Literal[False]:
    """Return the name that script.py.mako defines for a type, or False if it defines none."""
    if kind != "type":
        return False
    if isinstance(item, UtcDateTime):
        return "MOMENT"
    if isinstance(item, JSON):
        return "JSON"
    return "AUTO_ID" if item is AutoId else False


def disable_foreign_keys(engine: Engine) -> None:
    """Disable foreign keys on SQLite, where they are checked after each migration instead.

    To alter a table, a migration copies it and drops the original, which other tables may
    reference.
    """
    if engine.dialect.name == "sqlite":
        event.listen(
            engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=OFF")
        )


def check_foreign_keys(ctx: MigrationContext, **_: Any) -> None:
    """Raise an error, which rolls the migration back, if it broke foreign keys on SQLite."""
    if ctx.dialect.name != "sqlite" or not ctx.bind:
        return
    violations = ctx.bind.execute(text("PRAGMA foreign_key_check")).all()
    if violations:
        raise RuntimeError(
            f"The migration would leave {len(violations)} broken foreign keys, "
            f"the first in table {violations[0][0]}."
        )


def run_migrations() -> None:
    """Run the migrations in one transaction.

    If several processes start at once, the first one migrates the database while the others wait.
    """
    engine = make_engine(context.config.attributes.get("url") or Settings().database_url)
    disable_foreign_keys(engine)
    with engine.connect().execution_options(**WRITER_OPTIONS) as connection:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=True,
            render_item=render_type_name,
            transactional_ddl=True,
            on_version_apply=check_foreign_keys,
        )
        with context.begin_transaction():
            if connection.dialect.name == "postgresql":
                connection.execute(
                    text("SELECT pg_advisory_xact_lock(hashtext('dlkd.migrations'))")
                )
            context.run_migrations()
    engine.dispose()


if context.is_offline_mode():
    raise SystemExit(
        "Offline migration scripts are not supported. Run the migrations on the database itself."
    )
run_migrations()
