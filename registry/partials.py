"""The bytes of uploads on their way, where every process of the API can go on with them.

In a local store they are one file that grows in place. Elsewhere each stretch is an object of its own, named by where it
begins: a multipart upload of S3 would have to be ended by the client that began it. Either way the rows say how much counts;
what a killed process left beyond that is overwritten. What comes after that may also be parts that a client stored at signed
addresses, in any order; they lie in a folder of their own, so that nothing that came otherwise is taken for one.
"""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from registry.errors import FileMissing, RegistryError
from registry.store import CHUNK, Entry, Store, Stored
from registry.upload_errors import NotDirect, PartMissing, UploadCorrupt

PREFIX = "uploads"
PART = 4 * 2**20  # what one request holds in memory

_DIRECT = "direct"


@dataclass(frozen=True)
class Part:
    """Some bytes of a file: where they begin in it, and how many they are."""

    offset: int
    size: int

    @property
    def end(self) -> int:
        """Where the next ones begin."""
        return self.offset + self.size


@dataclass(frozen=True)
class Whole:
    """What a file is to be: so many bytes, the first `received` of them through the service, and perhaps a sha256."""

    size: int
    received: int
    sha256: str | None = None


class Partials(ABC):
    """The bytes of one store's unfinished uploads."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @abstractmethod
    def write(self, upload_id: str, offset: int, data: bytes | bytearray) -> None:
        """Keeps a stretch that begins there."""

    @abstractmethod
    def publish(self, upload_id: str, whole: Whole) -> Stored:
        """Stores the whole under its digest, hashed as it is kept; the stretches stay until they are discarded.

        Raises:
            UploadCorrupt: the digest is not the one that was expected.
            PartMissing: what has not come through the service is not there, or not of the right sizes.
            NotDirect: here all must come through the service.
        """

    def parts(self, upload_id: str) -> list[Part]:  # noqa: ARG002 - stores with addresses have an answer
        """What was stored at signed addresses, in order. `NotDirect` where there are no such addresses."""
        raise NotDirect

    def address(self, upload_id: str, offset: int, lifetime: timedelta) -> str:  # noqa: ARG002 - as above
        """Where to store the part that begins there. `NotDirect` where there are no such addresses."""
        raise NotDirect

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

    def publish(self, upload_id: str, whole: Whole) -> Stored:
        """Reads it once; the stored file is the same one under another name."""
        if whole.received < whole.size:
            raise NotDirect
        path, digest = self._folder / upload_id, hashlib.sha256()
        try:
            with path.open("r+b") as file:
                while chunk := file.read(CHUNK):
                    digest.update(chunk)
                found = file.tell()
                os.fsync(file.fileno())
        except FileNotFoundError as error:
            raise _missing(upload_id) from error
        if found != whole.size:
            raise _missing(upload_id)
        _check(digest.hexdigest(), whole.sha256)
        self._store.adopt(path, digest.hexdigest())
        return Stored(digest.hexdigest(), found)

    def discard(self, upload_id: str) -> None:
        """Takes away the name; a stored file has another one."""
        with suppress(FileNotFoundError):
            (self._folder / upload_id).unlink()


class StretchPartials(Partials):
    """Objects of a remote store; at the end they are read once, in order, and stored as one."""

    def write(self, upload_id: str, offset: int, data: bytes | bytearray) -> None:
        """One object."""
        self._store.put_bytes(f"{PREFIX}/{upload_id}/{offset:020d}", data)

    def publish(self, upload_id: str, whole: Whole) -> Stored:
        """By way of this machine's own temporary place, as other files do: S3 wants to know the name before the bytes."""
        keys = self._keys(upload_id, whole)
        with self._store.writer(limit=whole.size) as writer:
            for key in keys:
                for chunk in self._store.read_key(key):
                    writer.write(chunk)
            if writer.size != whole.size:
                raise PartMissing(f"A part of {upload_id} was stored again, with another size, while the parts were read.")
            _check(writer.digest, whole.sha256)
        return writer.stored

    def parts(self, upload_id: str) -> list[Part]:
        """As the store lists them."""
        return [Part(offset, entry.size) for offset, entry in sorted(self._entries(upload_id, direct=True).items())]

    def address(self, upload_id: str, offset: int, lifetime: timedelta) -> str:
        """Of the store itself."""
        address = self._store.signed_put(f"{PREFIX}/{upload_id}/{_DIRECT}/{offset:020d}", lifetime=lifetime)
        if address is None:
            raise NotDirect
        return address

    def _keys(self, upload_id: str, whole: Whole) -> list[str]:
        """What the whole is made of. Stretches that nobody counts, and parts of another try, are passed over."""
        gone = _missing(upload_id)
        stretches = _chain(self._entries(upload_id, direct=False), 0, whole.received, lambda _: gone)
        parts = self._entries(upload_id, direct=True) if whole.received < whole.size else {}
        return stretches + _chain(parts, whole.received, whole.size, lambda position: _gap(upload_id, position, whole.size))

    def _entries(self, upload_id: str, *, direct: bool) -> dict[int, Entry]:
        """What there is, by where it begins."""
        split = ((entry.key.split("/"), entry) for entry in self._store.listed(f"{PREFIX}/{upload_id}"))
        return {int(names[-1]): entry for names, entry in split if (names[-2] == _DIRECT) is direct}


def _chain(entries: dict[int, Entry], start: int, end: int, gap: Callable[[int], RegistryError]) -> list[str]:
    """The keys of what lies between, each where the one before ends; `gap` of where none does, or where one goes too far."""
    keys, position = [], start
    while position < end:
        entry = entries.get(position)
        if entry is None or not 0 < entry.size <= end - position:
            raise gap(position)
        keys.append(entry.key)
        position += entry.size
    return keys


def _gap(upload_id: str, position: int, size: int) -> PartMissing:
    return PartMissing(f"No part of {upload_id} that fits begins at byte {position} of {size}.")


def partials(store: Store) -> Partials:
    """Those of a store, local or remote."""
    return LocalPartials(store, store.root) if store.root else StretchPartials(store)


def _check(digest: str, expected: str | None) -> None:
    if expected is not None and digest != expected:
        raise UploadCorrupt(f"The bytes that came have the sha256 {digest}, not {expected} as was told.")


def _missing(upload_id: str) -> FileMissing:
    return FileMissing(f"Bytes of {upload_id} that had come are gone from the store.", hint="Begin again with a new upload.")
