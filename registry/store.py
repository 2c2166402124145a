"""The place of files: a local folder or an S3 bucket. What is published is named by its sha256 and stored once."""

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

from registry.errors import FileCorrupt, FileMissing, UploadTooLarge

CHUNK = 2**20
_PARTS_AT_ONCE = 3  # of one file on its way to S3, 5 MiB each: all of them are in memory
_MODE = 0o644  # of stored files: who may enter the folder may read them; temporary ones have less
UPLOAD_PREFIX = "dlkd-upload-"  # the machine's own temporary place may hold others' files, too


@dataclass(frozen=True)
class Stored:
    """A file in the store."""

    digest: str
    size: int


@dataclass(frozen=True)
class Entry:
    """What lies under a key of the store."""

    key: str
    size: int
    modified: datetime


class Writer:
    """Takes a file piece by piece, hashes it on the way, and stores it when the block ends without an exception.

    >>> with store.writer(limit=settings.max_upload_bytes) as writer:
    ...     for chunk in upload:
    ...         writer.write(chunk)
    >>> writer.stored
    """

    def __init__(self, store: "Store", limit: int | None) -> None:
        self._store = store
        self._limit = limit
        self._hash = hashlib.sha256()
        self._size = 0
        self._file: IO[bytes] = tempfile.NamedTemporaryFile(dir=store.scratch, prefix=UPLOAD_PREFIX)  # noqa: SIM115 - closed by __exit__
        self.stored: Stored

    @property
    def digest(self) -> str:
        """The sha256 of what was written so far."""
        return self._hash.hexdigest()

    @property
    def size(self) -> int:
        """How many bytes were written so far."""
        return self._size

    def write(self, chunk: bytes) -> None:
        """Appends; `UploadTooLarge` beyond the limit."""
        self._size += len(chunk)
        if self._limit is not None and self._size > self._limit:
            raise UploadTooLarge(f"The file is larger than the {self._limit} bytes that this service takes.")
        self._hash.update(chunk)
        self._file.write(chunk)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self._file.flush()
                os.fchmod(self._file.fileno(), _MODE)
                stored = Stored(self.digest, self._size)
                self._store.adopt(Path(self._file.name), stored.digest)
                self.stored = stored
        finally:
            self._file.close()


class Store:
    """The file store at a ``file://`` or ``s3://`` URL."""

    def __init__(self, url: str, *, scratch: Path | None = None, public_url: str | None = None) -> None:
        """`scratch` takes uploads on their way; left out: beside a local store, else the machine's own place.

        `public_url` is where clients reach the S3 server; left out: where this process does.
        """
        parts = urlsplit(url)
        self.root = Path(unquote(parts.path)) if parts.scheme == "file" else None
        self.scratch = scratch or (self.root / "incoming" if self.root else Path(tempfile.gettempdir()))
        self.scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._store: ObjectStore = LocalStore(self.root, mkdir=True) if self.root else from_url(url)
        self._public = from_url(url, endpoint=public_url) if public_url else self._store  # its host is signed

    def writer(self, *, limit: int | None = None) -> Writer:
        """A new file, at most `limit` bytes."""
        return Writer(self, limit)

    def put(self, chunks: Iterable[bytes], *, limit: int | None = None) -> Stored:
        """Stores what the chunks make up, in constant memory."""
        with self.writer(limit=limit) as writer:
            for chunk in chunks:
                writer.write(chunk)
        return writer.stored

    def put_file(self, path: Path) -> Stored:
        """Stores a copy of a file under its digest."""
        stored = Stored(file_digest(path), path.stat().st_size)
        self.put_key(_key(stored.digest), path)
        return stored

    def put_key(self, key: str, path: Path) -> None:
        """Stores a copy of a file under a name of the caller's, replacing what was there; whole or not at all."""
        obstore.put(self._store, key, path, max_concurrency=_PARTS_AT_ONCE)

    def put_bytes(self, key: str, data: bytes | bytearray) -> None:
        """Stores some bytes under a name of the caller's, whole or not at all."""
        obstore.put(self._store, key, data)

    def adopt(self, path: Path, digest: str) -> None:
        """Stores a file under its digest. One that lies beside a local store gets a second name, and nothing is copied."""
        if self.root is None:
            self.put_key(_key(digest), path)
            return
        target = self.root / _key(digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f".{digest}.{os.getpid()}.{path.name}")
        try:
            os.link(path, fresh)
        except OSError:  # another file system, or one without links
            self.put_key(_key(digest), path)
            return
        os.utime(fresh)  # it is wanted from now on
        fresh.replace(target)
        fresh.unlink(missing_ok=True)  # where both were the same file, nothing was moved

    def read_key(self, key: str) -> Iterator[bytes]:
        """What is stored under a name of the caller's, in pieces. `FileMissing` before the first one."""
        try:
            result = obstore.get(self._store, key)
        except (NotFoundError, FileNotFoundError) as error:
            raise _missing(key) from error
        return (bytes(piece) for piece in result.stream(min_chunk_size=CHUNK))

    def read(self, digest: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` up to, not including, `end`, in pieces. `FileMissing` before the first piece."""
        try:
            if end is None:
                end = obstore.head(self._store, _key(digest))["size"]
            if start >= end:
                return iter(())
            result = obstore.get(self._store, _key(digest), options={"range": (start, end)})
        except (NotFoundError, FileNotFoundError) as error:
            raise _missing(digest) from error
        return (bytes(piece) for piece in result.stream(min_chunk_size=CHUNK))

    def exists(self, digest: str) -> bool:
        """Whether the file is there."""
        try:
            obstore.head(self._store, _key(digest))
        except (NotFoundError, FileNotFoundError):
            return False
        return True

    def modified(self, digest: str) -> datetime | None:
        """When the file was stored last; None where it is not there."""
        try:
            return obstore.head(self._store, _key(digest))["last_modified"]
        except (NotFoundError, FileNotFoundError):
            return None

    def listed(self, prefix: str) -> Iterator[Entry]:
        """Everything under a name."""
        for batch in obstore.list(self._store, prefix):
            yield from (Entry(item["path"], item["size"], item["last_modified"]) for item in batch)

    def local_path(self, digest: str) -> Path | None:
        """The file itself where the store is a local folder: for reading only."""
        if self.root is None:
            return None
        path = self.root / _key(digest)
        return path if path.exists() else None

    def signed_url(self, digest: str, *, lifetime: timedelta = timedelta(minutes=15)) -> str | None:
        """An address at which anybody may read the file for a while; None where the store is a local folder."""
        return None if self.root else obstore.sign(cast("S3Store", self._public), "GET", _key(digest), lifetime)

    def signed_put(self, key: str, *, lifetime: timedelta) -> str | None:
        """An address at which anybody may store bytes under that name for a while; None where the store is a local folder."""
        return None if self.root else obstore.sign(cast("S3Store", self._public), "PUT", key, lifetime)

    def fetch_to(self, digest: str, path: Path) -> None:
        """Copies a file to `path`, whole or not at all; `FileCorrupt` if its bytes are not those of the digest."""
        self.fetch_key(_key(digest), path, digest=digest)

    def fetch_key(self, key: str, path: Path, *, digest: str | None = None) -> None:
        """Copies what is stored under a name of the caller's; with a digest, held to it."""
        try:
            pieces = obstore.get(self._store, key).stream(min_chunk_size=CHUNK)
        except (NotFoundError, FileNotFoundError) as error:
            raise _missing(key) from error
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            found = _write(pieces, partial)
            if digest is not None and found != digest:
                raise FileCorrupt(f"The stored file {digest} has the sha256 {found}.", hint="Restore the store from a copy.")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def delete(self, digest: str) -> None:
        """Removes a file; one that is not there is no error."""
        self._delete([_key(digest)])

    def delete_key(self, key: str) -> None:
        """Removes what is stored under a name of the caller's."""
        self._delete([key])

    def delete_under(self, prefix: str) -> None:
        """Removes everything under a name of the caller's."""
        self._delete([item["path"] for batch in obstore.list(self._store, prefix) for item in batch])

    def _delete(self, keys: list[str]) -> None:
        for key in keys:
            with suppress(NotFoundError, FileNotFoundError):
                obstore.delete(self._store, key)

    def check(self) -> None:
        """Asks the store for something; its own exception where it does not answer."""
        for _ in obstore.list(self._store, "objects", chunk_size=1):
            return


def file_digest(path: Path) -> str:
    """The sha256 of a file's bytes, in lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _key(digest: str) -> str:
    return f"objects/{digest[:2]}/{digest}"


def _missing(name: str) -> FileMissing:
    return FileMissing(f"The store has no file {name}.", hint="Restore the store from a copy.")


def _write(pieces: Iterable[bytes], path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for piece in pieces:
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()
