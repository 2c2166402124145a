"""Files, in a local folder or an S3 bucket by the same code. What is published is named by its sha256 and stored once."""

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
from sqlalchemy import ColumnElement, CompoundSelect, Select, select
from sqlalchemy.orm import Session

from registry.db import now, upsert
from registry.errors import FileCorrupt, FileMissing, UploadTooLarge
from registry.lifecycle import TERMINAL
from registry.roles import ROLES
from registry.tables import Artifact, Dataset, Job, ModelFile, Teacher

CHUNK = 2**20
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
                stored = Stored(self._hash.hexdigest(), self._size)
                self._store.put_key(_key(stored.digest), Path(self._file.name))
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
        self._root = Path(unquote(parts.path)) if parts.scheme == "file" else None
        self.scratch = scratch or (self._root / "incoming" if self._root else Path(tempfile.gettempdir()))
        self.scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._store: ObjectStore = LocalStore(self._root, mkdir=True) if self._root else from_url(url)
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
        obstore.put(self._store, key, path)

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
        if self._root is None:
            return None
        path = self._root / _key(digest)
        return path if path.exists() else None

    def signed_url(self, digest: str, *, lifetime: timedelta = timedelta(minutes=15)) -> str | None:
        """An address at which anybody may read the file for a while; None where the store is a local folder."""
        return None if self._root else obstore.sign(cast("S3Store", self._public), "GET", _key(digest), lifetime)

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


def record(session: Session, store: Store, stored: Stored) -> None:
    """Notes that a row is about to name a stored file. In the same transaction as that row: so nobody forgets the file meanwhile.

    Raises `FileMissing` in the rare case that somebody has just forgotten the same bytes.
    """
    row = {"digest": stored.digest, "size": stored.size, "created_at": now(session)}
    upsert(session, Artifact, [row], keys=["digest"], update=["size"])  # writes either way, so that PostgreSQL locks the row
    if not store.exists(stored.digest):
        raise FileMissing("The upload was cleaned away while it was being taken in.", hint="Send it again.")


def forget(session: Session, store: Store, digest: str) -> bool:
    """Removes a file that no row names any more, and says whether it did."""
    artifact = session.execute(select(Artifact).where(Artifact.digest == digest).with_for_update()).scalar_one_or_none()
    if artifact is None or _named(session, digest):
        return False
    store.delete(digest)
    session.delete(artifact)
    return True


def collect(session: Session, store: Store, digest: str, size: int, *, grace: timedelta) -> bool:
    """Removes a file that no row names and that was stored long enough ago, known by a row or not; says whether it did.

    Its row is made where there is none: whoever takes in the same bytes now waits for it in `record`, and looks again.
    """
    row = {"digest": digest, "size": size, "created_at": now(session)}
    upsert(session, Artifact, [row], keys=["digest"])
    stored = store.modified(digest)
    if stored is not None and stored > now(session) - grace:
        return False
    return forget(session, store, digest)


def unnamed(session: Session, *, before: datetime | None = None, limit: int = 100) -> list[Artifact]:
    """Stored files that no row names: what was left behind when a worker died between two transactions."""
    named = _names().subquery()
    query = select(Artifact).where(Artifact.digest.not_in(select(named.c.digest))).order_by(Artifact.created_at).limit(limit)
    if before is not None:
        query = query.where(Artifact.created_at <= before)
    return list(session.execute(query).scalars())


def _named(session: Session, digest: str) -> bool:
    named = _names().subquery()
    return session.execute(select(named.c.digest).where(named.c.digest == digest).limit(1)).first() is not None


def _names() -> CompoundSelect[str]:
    """All that rows name: the one place that says which files are needed. A job that has not ended needs its inputs."""
    return (
        select(Teacher.sha256.label("digest"))
        .where(Teacher.status != "invalid")
        .union_all(
            select(Dataset.sha256).where(Dataset.status != "invalid"),
            select(Dataset.packed_sha256).where(Dataset.packed_sha256.is_not(None)),
            select(ModelFile.sha256),
            *(_inputs(role) for role in ROLES),
        )
    )


def _inputs(role: str) -> Select[str]:
    digest: ColumnElement[str] = Job.inputs[role]["digest"].as_string()
    return select(digest).where(Job.status.not_in(TERMINAL), digest.is_not(None))


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
