"""Test doubles for programs that use the registry."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from registry.db.database import Database
from registry.db.tables import Base


class InMemoryJobQueue:
    """A job queue that keeps its messages in a list."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []

    def send(self, queue: str, job_id: str) -> None:
        """Append the message to `sent`."""
        self.sent.append((queue, job_id))

    def check(self) -> None:
        """Do nothing: the list is always available."""


@contextmanager
def create_test_database(folder: Path) -> Iterator[Database]:
    """Create an SQLite database in the folder, and close it at the end of the `with` block.

    All tables are created directly. This takes milliseconds, while the migrations take a second.
    """
    database = Database(f"sqlite:///{folder / 'dlkd.db'}")
    Base.metadata.create_all(database.engine)
    try:
        yield database
    finally:
        database.close()
