"""Removes what lies in the store and nobody names; the dispatcher does it by itself, `dlkd admin gc` on demand."""

from collections.abc import Iterator
from datetime import timedelta

from registry import garbage
from registry.db import Database
from registry.garbage import Item
from registry.settings import Settings
from registry.store import Store


def collect(database: Database, store: Store, settings: Settings, *, dry_run: bool = False) -> Iterator[Item]:
    """What it removes or, in a dry run, would remove; each thing in a transaction of its own. Looks through the whole store."""
    grace = timedelta(seconds=settings.gc_grace_seconds)
    for item in found(database, store, grace):
        if dry_run or removed(database, store, item, grace):
            yield item


def found(database: Database, store: Store, grace: timedelta) -> list[Item]:
    """All that would go now."""
    with database.read() as session:
        return [
            *garbage.unnamed(session, grace=grace, limit=10_000),
            *garbage.strays(session, store, grace=grace),
            *garbage.checkpoints(session, store, grace=grace),
            *garbage.halves(session, store, grace=grace),
        ]


def removed(database: Database, store: Store, item: Item, grace: timedelta) -> bool:
    """Removes one thing if it is still nobody's, and says whether it did."""
    with database.write() as session:
        return garbage.remove(session, store, item, grace=grace)
