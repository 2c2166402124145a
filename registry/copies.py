"""The files of one store in another: a back-up, a restore, or the move from a folder to S3."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from registry.errors import FileCorrupt, FileMissing
from registry.store import Entry, Store

_KINDS = ("objects", "checkpoints")  # halves of uploads are not worth it


@dataclass(frozen=True)
class Copied:
    """A file that was copied, or why it was not."""

    key: str
    size: int
    problem: str | None = None


def copy(source: Store, target: Store) -> Iterator[Copied]:
    """Copies what the target lacks, in constant memory. Files that are named by their digest are held to it on the way.

    What is stored under a name never changes, so that names and sizes tell what is there.
    """
    with tempfile.TemporaryDirectory(dir=target.scratch) as folder:
        for kind in _KINDS:
            there = {entry.key: entry.size for entry in target.listed(kind)}
            for entry in source.listed(kind):
                if there.get(entry.key) != entry.size:
                    yield from _copied(source, target, entry, Path(folder) / "file")


def _copied(source: Store, target: Store, entry: Entry, path: Path) -> Iterator[Copied]:
    kind, _, name = entry.key.partition("/")
    digest = name.rpartition("/")[2] if kind == "objects" else None
    try:
        source.fetch_key(entry.key, path, digest=digest)
    except FileMissing:
        return  # removed since it was listed, because nobody names it any more
    except FileCorrupt as error:
        yield Copied(entry.key, entry.size, error.message)
        return
    target.put_key(entry.key, path)
    yield Copied(entry.key, entry.size)
