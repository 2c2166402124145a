"""Garbage collection in the store, run by the dispatcher and by `dlkd admin gc`."""

from collections.abc import Iterator
from datetime import timedelta

from registry.db.database import Database
from registry.settings import Settings
from registry.storage import garbage_collection
from registry.storage.garbage_collection import GarbageItem
from registry.storage.object_store import Store


def collect(
    database: Database, store: Store, settings: Settings, *, dry_run: bool = False
) -> Iterator[GarbageItem]:
    """Remove unreferenced objects from the store and yield each one.

    This lists the whole store and removes each object in a separate transaction. A dry run only
    yields the objects that would be removed.
    """
    grace = timedelta(seconds=settings.gc_grace_seconds)
    for item in find(database, store, grace):
        if dry_run or remove(database, store, item, grace):
            yield item


def find(database: Database, store: Store, grace: timedelta) -> list[GarbageItem]:
    """Return the objects that are currently unreferenced."""
    with database.read() as session:
        return [
            *garbage_collection.find_unreferenced_files(session, grace=grace, limit=10_000),
            *garbage_collection.find_unrecorded_files(session, store, grace=grace),
            *garbage_collection.find_orphaned_checkpoints(session, store, grace=grace),
            *garbage_collection.find_orphaned_upload_parts(session, store, grace=grace),
        ]


def remove(database: Database, store: Store, item: GarbageItem, grace: timedelta) -> bool:
    """Remove an object if it is still unreferenced and return whether it was removed."""
    with database.write() as session:
        return garbage_collection.delete_item(session, store, item, grace=grace)
