"""The file store: a local folder or an S3 bucket.

Files are named by their sha256, so that equal files are stored once. Only checkpoints and the parts
of unfinished uploads have other keys.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import NotFoundError
from obstore.store import LocalStore, ObjectStore, S3Store, from_url

from dlkd_core.common import compute_sha256
from registry.errors import StoredFileCorrupt, StoredFileMissing, UploadTooLarge

CHUNK_BYTES = 2**20
OBJECTS_PREFIX = "objects"  # key prefix of files that are named by their digest
CHECKPOINTS_PREFIX = "checkpoints"  # followed by the job's id
TEMP_FILE_PREFIX = "dlkd-upload-"  # identifies the files in the system's temporary folder
_MAX_CONCURRENT_PARTS = 3  # number of parts sent to S3 in parallel, each 5 MiB in memory
# Everyone who can access the folder can read stored files, but not temporary files.
_FILE_MODE = 0o644
_NOT_FOUND = (NotFoundError, FileNotFoundError)  # the local store raises the built-in error
_RESTORE_HINT = "Restore the file store from a backup."


@dataclass(frozen=True)
class StoredFile:
    """A file in the store."""

    digest: str
    size: int


@dataclass(frozen=True)
class StoreEntry:
    """A key in the store, with the size and modification time of its object."""

    key: str
    size: int
    modified: datetime


class StoreWriter:
    """Writes and hashes a file in chunks, and stores it unless the `with` block raises.

    >>> with store.writer(limit=settings.max_upload_bytes) as writer:
    ...     for chunk in upload:
    ...         writer.write(chunk)
    >>> writer.stored

    Attributes:
        size: Number of bytes written so far.
        stored: The stored file, set at the end of the `with` block.
    """

    def __init__(self, store: "Store", limit: int | None) -> None:
        self._store = store
        self._limit = limit
        self._hash = hashlib.sha256()
        self.size = 0
        self._file: IO[bytes] = tempfile.NamedTemporaryFile(  # noqa: SIM115 - closed by __exit__
            dir=store.scratch, prefix=TEMP_FILE_PREFIX
        )
        self.stored: StoredFile

    @property
    def digest(self) -> str:
        """Hexadecimal sha256 of the bytes written so far."""
        return self._hash.hexdigest()

    def write(self, chunk: bytes) -> None:
        """Append a chunk.

        Raises:
            UploadTooLarge: The file exceeds the limit.
        """
        self.size += len(chunk)
        if self._limit is not None and self.size > self._limit:
            raise UploadTooLarge(f"The file is larger than the limit of {self._limit} bytes.")
        self._hash.update(chunk)
        self._file.write(chunk)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._file.flush()
                os.fchmod(self._file.fileno(), _FILE_MODE)
                stored = StoredFile(self.digest, self.size)
                self._store.adopt(Path(self._file.name), stored.digest)
                self.stored = stored
        finally:
            self._file.close()


class Store:
    """The file store at a ``file://`` or ``s3://`` URL.

    `scratch` is the folder for uploads in progress. It defaults to a folder inside a local store,
    or to the system's temporary folder. `public_url` is the URL at which clients reach the S3
    server, if it differs from the one that this process uses.
    """

    def __init__(
        self, url: str, *, scratch: Path | None = None, public_url: str | None = None
    ) -> None:
        parts = urlsplit(url)
        self.root = Path(unquote(parts.path)) if parts.scheme == "file" else None
        self.scratch = scratch or (
            self.root / "incoming" if self.root else Path(tempfile.gettempdir())
        )
        self.scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._store: ObjectStore = LocalStore(self.root, mkdir=True) if self.root else from_url(url)
        # Signatures include the host, so URLs for clients need a store of their own.
        self._public = from_url(url, endpoint=public_url) if public_url else self._store

    def writer(self, *, limit: int | None = None) -> StoreWriter:
        """Return a writer for a new file of at most `limit` bytes."""
        return StoreWriter(self, limit)

    def put(self, chunks: Iterable[bytes], *, limit: int | None = None) -> StoredFile:
        """Store a file from chunks of its contents. Memory use is constant."""
        with self.writer(limit=limit) as writer:
            for chunk in chunks:
                writer.write(chunk)
        return writer.stored

    def put_file(self, path: Path) -> StoredFile:
        """Store a copy of a file under its digest."""
        stored = StoredFile(compute_sha256(path), path.stat().st_size)
        self.put_key(_object_key(stored.digest), path)
        return stored

    def put_key(self, key: str, path: Path) -> None:
        """Store a copy of a file under a key, atomically replacing an existing object."""
        obstore.put(self._store, key, path, max_concurrency=_MAX_CONCURRENT_PARTS)

    def put_bytes(self, key: str, data: bytes | bytearray) -> None:
        """Store bytes under a key, atomically replacing an existing object."""
        obstore.put(self._store, key, data)

    def adopt(self, path: Path, digest: str) -> None:
        """Store a file under its digest.

        If the store is a folder on the same file system, the file is hard-linked instead of copied.
        """
        if self.root is None:
            self.put_key(_object_key(digest), path)
            return
        target = self.root / _object_key(digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{digest}.{os.getpid()}.{path.name}")
        try:
            os.link(path, temporary)
        except OSError:  # a different file system, or one without hard links
            self.put_key(_object_key(digest), path)
            return
        os.utime(temporary)  # restarts the grace period of garbage collection
        temporary.replace(target)
        temporary.unlink(
            missing_ok=True
        )  # replace() does nothing if both names refer to the same file

    def read_key(self, key: str) -> Iterator[bytes]:
        """Return the contents of the object under a key, in chunks.

        Raises:
            StoredFileMissing: There is no such object. Raised before the first chunk.
        """
        try:
            result = obstore.get(self._store, key)
        except _NOT_FOUND as error:
            raise _missing_file(key) from error
        return (bytes(chunk) for chunk in result.stream(min_chunk_size=CHUNK_BYTES))

    def read(self, digest: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Return the bytes of a file from `start` up to but not including `end`, in chunks.

        Raises:
            StoredFileMissing: There is no such file. Raised before the first chunk.
        """
        try:
            if end is None:
                end = obstore.head(self._store, _object_key(digest))["size"]
            if start >= end:
                return iter(())
            result = obstore.get(self._store, _object_key(digest), options={"range": (start, end)})
        except _NOT_FOUND as error:
            raise _missing_file(digest) from error
        return (bytes(chunk) for chunk in result.stream(min_chunk_size=CHUNK_BYTES))

    def exists(self, digest: str) -> bool:
        return self.modified_at(digest) is not None

    def modified_at(self, digest: str) -> datetime | None:
        """Return when the file was last stored, or None if it is not in the store."""
        try:
            return obstore.head(self._store, _object_key(digest))["last_modified"]
        except _NOT_FOUND:
            return None

    def list_entries(self, prefix: str) -> Iterator[StoreEntry]:
        for batch in obstore.list(self._store, prefix):
            yield from (
                StoreEntry(item["path"], item["size"], item["last_modified"]) for item in batch
            )

    def local_path(self, digest: str) -> Path | None:
        """Return the path of a file in a local store. The caller must not change the file.

        Returns None if the store is remote.
        """
        if self.root is None:
            return None
        path = self.root / _object_key(digest)
        return path if path.exists() else None

    def signed_url(self, digest: str, *, lifetime: timedelta = timedelta(minutes=15)) -> str | None:
        """Return a temporary URL for downloading the file, or None for a local store.

        The URL works without credentials.
        """
        if self.root:
            return None
        return obstore.sign(cast("S3Store", self._public), "GET", _object_key(digest), lifetime)

    def signed_put_url(self, key: str, *, lifetime: timedelta) -> str | None:
        """Return a temporary URL for uploading an object, or None for a local store.

        The URL works without credentials.
        """
        if self.root:
            return None
        return obstore.sign(cast("S3Store", self._public), "PUT", key, lifetime)

    def fetch_to(self, digest: str, path: Path) -> None:
        """Copy a stored file to `path`, atomically.

        Raises:
            StoredFileMissing: There is no such file.
            StoredFileCorrupt: The stored bytes do not match the digest.
        """
        self.fetch_key(_object_key(digest), path, digest=digest)

    def fetch_key(self, key: str, path: Path, *, digest: str | None = None) -> None:
        """Copy the object under a key to `path`, atomically. Verify its digest if one is given.

        Raises:
            StoredFileMissing: There is no such object.
            StoredFileCorrupt: The stored bytes do not match the digest.
        """
        chunks = self.read_key(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            actual = _write_chunks(chunks, partial)
            if digest is not None and actual != digest:
                raise StoredFileCorrupt(
                    f"The stored file {digest} is corrupt. Its sha256 is {actual}.",
                    hint=_RESTORE_HINT,
                )
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def delete(self, digest: str) -> None:
        """Delete a file. Does nothing if it does not exist."""
        self.delete_key(_object_key(digest))

    def delete_key(self, key: str) -> None:
        """Delete the object under a key. Does nothing if it does not exist."""
        with suppress(*_NOT_FOUND):
            obstore.delete(self._store, key)

    def delete_prefix(self, prefix: str) -> None:
        for entry in list(self.list_entries(prefix)):
            self.delete_key(entry.key)

    def check(self) -> None:
        """Send a request to the store. Raises the backend's own exception if it fails."""
        for _ in obstore.list(self._store, OBJECTS_PREFIX, chunk_size=1):
            return


def hash_chunks(chunks: Iterable[bytes]) -> str:
    """Return the sha256 of the concatenated chunks in lowercase hexadecimal."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def _object_key(digest: str) -> str:
    return f"{OBJECTS_PREFIX}/{digest[:2]}/{digest}"


def _missing_file(name: str) -> StoredFileMissing:
    return StoredFileMissing(f"The store has no file {name}.", hint=_RESTORE_HINT)


def _write_chunks(chunks: Iterable[bytes], path: Path) -> str:
    """Write a file and return its digest."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for chunk in chunks:
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()
