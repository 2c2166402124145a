"""Copying a file store for a backup, a restore or a move from a local folder to S3."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from registry.errors import StoredFileCorrupt, StoredFileMissing
from registry.storage.object_store import CHECKPOINTS_PREFIX, OBJECTS_PREFIX, Store, StoreEntry

# Unfinished uploads are not copied, because clients can send them again.
_COPIED_PREFIXES = (OBJECTS_PREFIX, CHECKPOINTS_PREFIX)


@dataclass(frozen=True)
class CopyResult:
    """The result of copying one file. `problem` is None if the file was copied."""

    key: str
    size: int
    problem: str | None = None


def copy_store(source: Store, target: Store) -> Iterator[CopyResult]:
    """Copy the objects that the target does not have. Memory use is constant.

    Files that are named by their digest are verified while they are copied. Stored objects never
    change, so an object is skipped if the target has one with the same key and size.
    """
    with tempfile.TemporaryDirectory(dir=target.scratch) as folder:
        for prefix in _COPIED_PREFIXES:
            existing = {entry.key: entry.size for entry in target.list_entries(prefix)}
            for entry in source.list_entries(prefix):
                if existing.get(entry.key) != entry.size:
                    yield from _copy_entry(source, target, entry, Path(folder) / "file")


def _copy_entry(
    source: Store, target: Store, entry: StoreEntry, path: Path
) -> Iterator[CopyResult]:
    prefix, _, name = entry.key.partition("/")
    digest = name.rpartition("/")[2] if prefix == OBJECTS_PREFIX else None
    try:
        source.fetch_key(entry.key, path, digest=digest)
    except StoredFileMissing:
        return  # deleted after it was listed, because nothing refers to it
    except StoredFileCorrupt as error:
        yield CopyResult(entry.key, entry.size, error.message)
        return
    target.put_key(entry.key, path)
    yield CopyResult(entry.key, entry.size)
