"""Parts of unfinished uploads, stored where every API process can continue them.

A local store keeps one file per upload, which grows in place. A remote store keeps each chunk as an
object that is named by its offset. It does not use S3 multipart uploads, because only the client
that began such an upload can complete it. In both cases, the upload's row states how many bytes are
valid. Any further bytes were left by a killed process and are overwritten.

If the store is remote, clients can also upload the remaining parts directly to signed URLs, in any
order. These direct parts are kept in a separate folder, so that they cannot be confused with other
objects.
"""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from registry.errors import RegistryError, StoredFileMissing
from registry.storage.object_store import CHUNK_BYTES, Store, StoredFile, StoreEntry
from registry.uploads.upload_errors import DirectUploadUnavailable, UploadCorrupt, UploadPartMissing

PARTS_PREFIX = "uploads"
REQUEST_BYTES = 4 * 2**20  # maximum number of bytes that a request holds in memory

_DIRECT_FOLDER = "direct"


@dataclass(frozen=True)
class UploadPart:
    """A byte range of a file."""

    offset: int
    size: int

    @property
    def end(self) -> int:
        """Offset of the byte after the part."""
        return self.offset + self.size


@dataclass(frozen=True)
class ExpectedFile:
    """Size and, if known, sha256 of a file whose first `received` bytes came through the API."""

    size: int
    received: int
    sha256: str | None = None


class UploadParts(ABC):
    """Base class for access to the parts of unfinished uploads in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @abstractmethod
    def write(self, upload_id: str, offset: int, data: bytes | bytearray) -> None:
        """Store bytes that begin at `offset` in the file."""

    @abstractmethod
    def assemble(self, upload_id: str, expected: ExpectedFile) -> StoredFile:
        """Store the complete file under its digest. The parts are kept until `discard` is called.

        Raises:
            UploadCorrupt: The digest of the file is not the expected one.
            UploadPartMissing: Direct parts are missing or have wrong sizes.
            DirectUploadUnavailable: Some parts were to be uploaded directly to the store, but the
                store does not support signed URLs.
            StoredFileMissing: Bytes that came through the API are missing from the store.
        """

    def list_parts(self, upload_id: str) -> list[UploadPart]:  # noqa: ARG002 - for subclasses
        """List the direct parts, sorted by offset.

        Raises:
            DirectUploadUnavailable: The store does not support signed URLs.
        """
        raise DirectUploadUnavailable

    def signed_url(self, upload_id: str, offset: int, lifetime: timedelta) -> str:  # noqa: ARG002 - for subclasses
        """Return the signed URL to which the client uploads the part that begins at `offset`.

        The client sends the part directly to the store.

        Raises:
            DirectUploadUnavailable: The store does not support signed URLs.
        """
        raise DirectUploadUnavailable

    def discard(self, upload_id: str) -> None:
        """Delete all parts of an upload. Does nothing if there are none."""
        self._store.delete_prefix(f"{PARTS_PREFIX}/{upload_id}")


class LocalUploadParts(UploadParts):
    """Parts in a local store: one file per upload.

    The file is in the store's folder, so that completing an upload does not copy any bytes.
    """

    def __init__(self, store: Store, root: Path) -> None:
        super().__init__(store)
        self._folder = root / PARTS_PREFIX

    def write(self, upload_id: str, offset: int, data: bytes | bytearray) -> None:
        """Write the bytes in place. Once all bytes are written, the file has the declared size."""
        self._folder.mkdir(exist_ok=True)
        descriptor = os.open(self._folder / upload_id, os.O_WRONLY | os.O_CREAT, 0o666)
        try:
            view = memoryview(data)
            while view:
                written = os.pwrite(descriptor, view, offset)
                offset, view = offset + written, view[written:]
        finally:
            os.close(descriptor)

    def assemble(self, upload_id: str, expected: ExpectedFile) -> StoredFile:
        """Hash the file and store it with a hard link."""
        if expected.received < expected.size:
            raise DirectUploadUnavailable
        path, digest = self._folder / upload_id, hashlib.sha256()
        try:
            with path.open("r+b") as file:
                while chunk := file.read(CHUNK_BYTES):
                    digest.update(chunk)
                size = file.tell()
                os.fsync(file.fileno())
        except FileNotFoundError as error:
            raise _bytes_missing(upload_id) from error
        if size != expected.size:
            raise _bytes_missing(upload_id)
        _check_digest(digest.hexdigest(), expected.sha256)
        self._store.adopt(path, digest.hexdigest())
        return StoredFile(digest.hexdigest(), size)

    def discard(self, upload_id: str) -> None:
        """Remove the upload's file. An assembled file remains under its other hard link."""
        (self._folder / upload_id).unlink(missing_ok=True)


class RemoteUploadParts(UploadParts):
    """Parts in a remote store: objects that are assembled into one file at the end."""

    def write(self, upload_id: str, offset: int, data: bytes | bytearray) -> None:
        """Store the bytes as one object."""
        self._store.put_bytes(f"{PARTS_PREFIX}/{upload_id}/{offset:020d}", data)

    def assemble(self, upload_id: str, expected: ExpectedFile) -> StoredFile:
        """Assemble the file in a local temporary folder.

        The file's key is its digest, which is known only after all bytes have been read. S3 needs
        the key before the first byte, so the bytes cannot be sent to it directly.
        """
        keys = self._collect_keys(upload_id, expected)
        with self._store.writer(limit=expected.size) as writer:
            for key in keys:
                for chunk in self._store.read_key(key):
                    writer.write(chunk)
            if writer.size != expected.size:
                raise UploadPartMissing(
                    f"A part of {upload_id} was replaced by one of a different size while the "
                    "parts were being assembled."
                )
            _check_digest(writer.digest, expected.sha256)
        return writer.stored

    def list_parts(self, upload_id: str) -> list[UploadPart]:
        return [
            UploadPart(offset, entry.size)
            for offset, entry in sorted(self._list_entries(upload_id, direct=True).items())
        ]

    def signed_url(self, upload_id: str, offset: int, lifetime: timedelta) -> str:
        url = self._store.signed_put_url(
            f"{PARTS_PREFIX}/{upload_id}/{_DIRECT_FOLDER}/{offset:020d}", lifetime=lifetime
        )
        if url is None:
            raise DirectUploadUnavailable
        return url

    def _collect_keys(self, upload_id: str, expected: ExpectedFile) -> list[str]:
        """Return the keys of the file's parts. Leftovers from interrupted requests are ignored."""
        received_keys = _chain_keys(
            self._list_entries(upload_id, direct=False),
            0,
            expected.received,
            lambda _: _bytes_missing(upload_id),
        )
        needs_direct_parts = expected.received < expected.size
        direct_entries = self._list_entries(upload_id, direct=True) if needs_direct_parts else {}
        return received_keys + _chain_keys(
            direct_entries,
            expected.received,
            expected.size,
            lambda position: UploadPartMissing(
                f"The upload {upload_id} of {expected.size} bytes has no valid part that begins at "
                f"byte {position}."
            ),
        )

    def _list_entries(self, upload_id: str, *, direct: bool) -> dict[int, StoreEntry]:
        """Return the objects of the upload, by their offset."""
        entries = {}
        for entry in self._store.list_entries(f"{PARTS_PREFIX}/{upload_id}"):
            *_, folder, offset = entry.key.split("/")
            if (folder == _DIRECT_FOLDER) is direct:
                entries[int(offset)] = entry
        return entries


def _chain_keys(
    entries: dict[int, StoreEntry], start: int, end: int, make_error: Callable[[int], RegistryError]
) -> list[str]:
    """Return the keys of entries that cover `start` to `end` without gaps or overlaps.

    If no suitable entry begins at a required position, `make_error(position)` is raised.
    """
    keys, position = [], start
    while position < end:
        entry = entries.get(position)
        if entry is None or not 0 < entry.size <= end - position:
            raise make_error(position)
        keys.append(entry.key)
        position += entry.size
    return keys


def open_upload_parts(store: Store) -> UploadParts:
    """Return the `UploadParts` for a local or remote store."""
    return LocalUploadParts(store, store.root) if store.root else RemoteUploadParts(store)


def _check_digest(digest: str, expected: str | None) -> None:
    if expected is not None and digest != expected:
        raise UploadCorrupt(
            f"The received bytes have the sha256 {digest}, but the upload declared {expected}."
        )


def _bytes_missing(upload_id: str) -> StoredFileMissing:
    return StoredFileMissing(
        f"Received bytes of {upload_id} are missing from the store.",
        hint="Start again with a new upload.",
    )
