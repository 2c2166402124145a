"""Schema migrations with Alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from registry.errors import DatabaseOutdated

# The folder is next to the registry package, both in a checkout and in a wheel.
_MIGRATIONS_PATH = Path(__file__).resolve().parents[2] / "migrations"


def alembic_config(url: str) -> Config:
    """Return Alembic's configuration for a database. No configuration file is read."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS_PATH).replace("%", "%%"))
    config.attributes["url"] = url
    return config


def upgrade(url: str, revision: str = "head") -> None:
    """Migrate the database to a revision. The database is created if it does not exist."""
    command.upgrade(alembic_config(url), revision)


def check_revision(engine: Engine) -> None:
    """Verify that the database is at the newest revision.

    Raises:
        DatabaseOutdated: The database is at another revision.
    """
    head = ScriptDirectory(str(_MIGRATIONS_PATH)).get_current_head()
    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    if current != head:
        raise DatabaseOutdated(
            f"The database is at revision {current}, but this program needs {head}."
        )
