"""What lies in the store and nobody names: files whose rows are gone or never were, checkpoints and halves of uploads.

All of it is judged twice: when it is found, and, under the lock that an upload of the same bytes takes, when it is removed.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry import artifacts, lifecycle
from registry.db import now
from registry.partials import PREFIX
from registry.store import Entry, Store
from registry.tables import Artifact, Job, Upload

_TOGETHER = 500  # questions about so many names at once


@dataclass(frozen=True)
class Item:
    """Something to remove: a file by its digest, a checkpoint or a part of half an upload by its key."""

    kind: Literal["file", "checkpoint", "half"]
    name: str
    size: int


def unnamed(session: Session, *, grace: timedelta, limit: int = 100) -> list[Item]:
    """Files of the rows that no other row names."""
    old = now(session) - grace
    return [Item("file", row.digest, row.size) for row in artifacts.unnamed(session, before=old, limit=limit)]


def strays(session: Session, store: Store, *, grace: timedelta) -> Iterator[Item]:
    """Files without a row, as a program leaves them that dies between storing a file and writing of it."""
    for entries in _batches(_older(store, "objects", now(session) - grace)):
        sizes = {entry.key.rpartition("/")[2]: entry.size for entry in entries}
        known = set(session.execute(select(Artifact.digest).where(Artifact.digest.in_(sizes))).scalars())
        yield from (Item("file", digest, size) for digest, size in sizes.items() if digest not in known)


def checkpoints(session: Session, store: Store, *, grace: timedelta) -> Iterator[Item]:
    """Checkpoints that are no job's: not the one that it would go on from, nor perhaps the next one of a running attempt."""
    for entries in _batches(_older(store, "checkpoints", now(session) - grace)):
        owners = {entry.key.split("/")[1] for entry in entries}
        rows = session.execute(select(Job.id, Job.status, Job.checkpoint_key).where(Job.id.in_(owners))).all()
        working = {job_id for job_id, status, _ in rows if status in lifecycle.LEASED}
        kept = {key for _, _, key in rows}
        for entry in entries:
            if entry.key not in kept and entry.key.split("/")[1] not in working:
                yield Item("checkpoint", entry.key, entry.size)


def halves(session: Session, store: Store, *, grace: timedelta) -> Iterator[Item]:
    """Bytes of uploads in several requests that are no row's any more."""
    for entries in _batches(_older(store, PREFIX, now(session) - grace)):
        owners = {entry.key.split("/")[1] for entry in entries}
        known = set(session.execute(select(Upload.id).where(Upload.id.in_(owners))).scalars())
        yield from (Item("half", entry.key, entry.size) for entry in entries if entry.key.split("/")[1] not in known)


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    rest = iter(entries)
    while batch := list(islice(rest, _TOGETHER)):
        yield batch


def _older(store: Store, prefix: str, than: datetime) -> Iterable[Entry]:
    return (entry for entry in store.listed(prefix) if entry.modified <= than)


def remove(session: Session, store: Store, item: Item, *, grace: timedelta) -> bool:
    """Removes it if still nobody names it, and says whether it did."""
    if item.kind == "file":
        return artifacts.collect(session, store, item.name, item.size, grace=grace)
    store.delete_key(item.name)  # keys name attempt or upload: what is nobody's now will never be anybody's
    return True
