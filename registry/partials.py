"""The bytes of uploads on their way, where every process of the API can go on with them.

In a local store they are one file that grows in place. Elsewhere each stretch is an object of its own, named by where it
begins: a multipart upload of S3 would have to be ended by the client that began it. Either way the rows say how much counts;
what a killed process left beyond that is overwritten.
"""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from registry.errors import FileMissing
from registry.store import CHUNK, Store, Stored
from registry.upload_errors import UploadCorrupt

PREFIX = "uploads"
PART = 4 * 2**20  # what one request holds in memory

Beat = Callable[[], None]  # is called again and again while something takes long


class Partials(ABC):
    """The bytes of one store's unfinished uploads."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @abstractmethod
    def write(self, upload_id: str, offset: int, data: bytes | bytearray) -> None:
        """Keeps a stretch that begins there."""

    @abstractmethod
    def publish(self, upload_id: str, size: int, expected: str | None, beat: Beat) -> Stored:
        """Stores the whole under its digest, hashed as it is kept; the stretches stay until they are discarded.

        Raises:
            UploadCorrupt: the digest is not the one that was expected.
        """

    def discard(self, upload_id: str) -> None:
        """Removes what was kept; nothing there is no error."""
        self._store.delete_under(f"{PREFIX}/{upload_id}")


class LocalPartials(Partials):
    """One file an upload, in the store's own folder, so that it need not be copied at the end."""

    def __init__(self, store: Store, root: Path) -> None:
        super().__init__(store)
        self._folder = root / PREFIX

    def write(self, upload_id: str, offset: int, data: bytes | bytearray) -> None:
        """In place: the file has no other length than the row says once all have come."""
        self._folder.mkdir(exist_ok=True)
        descriptor = os.open(self._folder / upload_id, os.O_WRONLY | os.O_CREAT, 0o666)
        try:
            view = memoryview(data)
            while view:
                written = os.pwrite(descriptor, view, offset)
                offset, view = offset + written, view[written:]
        finally:
            os.close(descriptor)

    def publish(self, upload_id: str, size: int, expected: str | None, beat: Beat) -> Stored:
        """Reads it once; the stored file is the same one under another name."""
        path, digest = self._folder / upload_id, hashlib.sha256()
        try:
            with path.open("r+b") as file:
                while chunk := file.read(CHUNK):
                    digest.update(chunk)
                    beat()
                found = file.tell()
                os.fsync(file.fileno())
        except FileNotFoundError as error:
            raise _missing(upload_id) from error
        if found != size:
            raise _missing(upload_id)
        _check(digest.hexdigest(), expected)
        self._store.adopt(path, digest.hexdigest())
        return Stored(digest.hexdigest(), size)

    def discard(self, upload_id: str) -> None:
        """Takes away the name; a stored file has another one."""
        with suppress(FileNotFoundError):
            (self._folder / upload_id).unlink()


class StretchPartials(Partials):
    """Objects of a remote store; at the end they are read once, in order, and stored as one."""

    def write(self, upload_id: str, offset: int, data: bytes | bytearray) -> None:
        """One object."""
        self._store.put_bytes(f"{PREFIX}/{upload_id}/{offset:020d}", data)

    def publish(self, upload_id: str, size: int, expected: str | None, beat: Beat) -> Stored:
        """By way of this machine's own temporary place, as other files do: S3 wants to know the name before the bytes."""
        with self._store.writer() as writer:
            for chunk in self._chunks(upload_id, size):
                writer.write(chunk)
                beat()
            _check(writer.digest, expected)
        return writer.stored

    def _chunks(self, upload_id: str, size: int) -> Iterator[bytes]:
        """Stretch after stretch, each where the one before ends: others are what a killed process left."""
        kept = {int(entry.key.rpartition("/")[2]): entry for entry in self._store.listed(f"{PREFIX}/{upload_id}")}
        position = 0
        while position < size:
            if position not in kept:
                raise _missing(upload_id)
            yield from self._store.read_key(kept[position].key)
            position += kept[position].size
        if position > size:
            raise _missing(upload_id)


def partials(store: Store) -> Partials:
    """Those of a store, local or remote."""
    return LocalPartials(store, store.root) if store.root else StretchPartials(store)


def _check(digest: str, expected: str | None) -> None:
    if expected is not None and digest != expected:
        raise UploadCorrupt(f"The bytes that came have the sha256 {digest}, not {expected} as was told.")


def _missing(upload_id: str) -> FileMissing:
    return FileMissing(f"Bytes of {upload_id} that had come are gone from the store.", hint="Begin again with a new upload.")
