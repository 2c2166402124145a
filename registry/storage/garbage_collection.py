"""Garbage collection: unreferenced files, and orphaned checkpoints and upload parts.

Files are checked twice: when they are listed, and again when they are deleted. The second check
holds the lock that an upload of the same bytes also takes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.db.database import now
from registry.db.input_tables import Artifact, Upload
from registry.db.job_tables import Job
from registry.jobs import lifecycle
from registry.storage import artifacts
from registry.storage.object_store import CHECKPOINTS_PREFIX, OBJECTS_PREFIX, Store, StoreEntry
from registry.uploads.upload_parts import PARTS_PREFIX

_BATCH_SIZE = 500  # keys per database query


class GarbageKind(StrEnum):
    FILE = "file"
    CHECKPOINT = "checkpoint"
    UPLOAD_PART = "half"  # the value that `dlkd admin gc --json` has always printed


@dataclass(frozen=True)
class GarbageItem:
    """An object to delete. Files are identified by digest, checkpoints and parts by key."""

    kind: GarbageKind
    name: str
    size: int


def find_unreferenced_files(
    session: Session, *, grace: timedelta, limit: int = 100
) -> list[GarbageItem]:
    """List recorded files that no row refers to."""
    created_before = now(session) - grace
    return [
        GarbageItem(GarbageKind.FILE, row.digest, row.size)
        for row in artifacts.find_unreferenced(session, created_before=created_before, limit=limit)
    ]


def find_unrecorded_files(
    session: Session, store: Store, *, grace: timedelta
) -> Iterator[GarbageItem]:
    """Yield stored files that were never recorded.

    Such files are left over when a process dies between storing a file and recording it.
    """
    for entries in _old_batches(store, OBJECTS_PREFIX, now(session) - grace):
        sizes = {entry.key.rpartition("/")[2]: entry.size for entry in entries}
        recorded = set(
            session.execute(select(Artifact.digest).where(Artifact.digest.in_(sizes))).scalars()
        )
        for digest, size in sizes.items():
            if digest not in recorded:
                yield GarbageItem(GarbageKind.FILE, digest, size)


def find_orphaned_checkpoints(
    session: Session, store: Store, *, grace: timedelta
) -> Iterator[GarbageItem]:
    """Yield checkpoints that no job will continue from.

    All checkpoints of a running attempt are kept, because the next attempt may resume from any of
    them.
    """
    for entries in _old_batches(store, CHECKPOINTS_PREFIX, now(session) - grace):
        job_ids = {_owner_id(entry) for entry in entries}
        rows = session.execute(
            select(Job.id, Job.status, Job.checkpoint_key).where(Job.id.in_(job_ids))
        ).all()
        running = {job_id for job_id, status, _ in rows if status in lifecycle.LEASED}
        current_keys = {key for _, _, key in rows}
        for entry in entries:
            if entry.key not in current_keys and _owner_id(entry) not in running:
                yield GarbageItem(GarbageKind.CHECKPOINT, entry.key, entry.size)


def find_orphaned_upload_parts(
    session: Session, store: Store, *, grace: timedelta
) -> Iterator[GarbageItem]:
    """Yield the parts of resumable uploads whose rows have been deleted."""
    for entries in _old_batches(store, PARTS_PREFIX, now(session) - grace):
        upload_ids = {_owner_id(entry) for entry in entries}
        existing = set(
            session.execute(select(Upload.id).where(Upload.id.in_(upload_ids))).scalars()
        )
        for entry in entries:
            if _owner_id(entry) not in existing:
                yield GarbageItem(GarbageKind.UPLOAD_PART, entry.key, entry.size)


def _owner_id(entry: StoreEntry) -> str:
    return entry.key.split("/")[1]


def _old_batches(
    store: Store, prefix: str, modified_before: datetime
) -> Iterator[list[StoreEntry]]:
    entries = (entry for entry in store.list_entries(prefix) if entry.modified <= modified_before)
    while batch := list(islice(entries, _BATCH_SIZE)):
        yield batch


def delete_item(session: Session, store: Store, item: GarbageItem, *, grace: timedelta) -> bool:
    """Delete an item if it is still garbage. Return whether it was deleted."""
    if item.kind is GarbageKind.FILE:
        return artifacts.delete_if_expired(session, store, item.name, item.size, grace=grace)
    # Keys contain the id of the attempt or upload, so an orphaned key is never used again.
    store.delete_key(item.name)
    return True
