"""Reads the files in a folder, zip or tar.

Files are read one at a time, and no file is ever written to disk under a name from an archive.
"""

import bz2
import gzip
import io
import lzma
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol, Self, TypeVar, cast

from dlkd_core.data.read_options import DatasetLimits
from dlkd_core.errors import ArchiveRefused, ArchiveUnreadable
from dlkd_core.zip_members import ZIP_ERRORS, find_member_problem


class ReadableStream(Protocol):
    """A stream that is read from beginning to end."""

    def read(self, size: int = -1, /) -> bytes:
        """Read up to `size` bytes, or all."""
        ...


Member = tuple[PurePosixPath, bytes]
# A file's name and a function that opens the file. The function is valid until the next entry is
# requested.
Entry = tuple[PurePosixPath, Callable[[], IO[bytes]]]
_Entry = TypeVar("_Entry")
_JUNK_NAMES = {"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"}
_ARCHIVE_ERRORS = (*ZIP_ERRORS, tarfile.TarError)
_ZIP_DIRECTORY_ENTRY = b"PK\x01\x02"
# Tar headers whose size is that of a name or of other metadata, which tarfile reads into memory
_TAR_METADATA = frozenset(
    {
        *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
        *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    }
)
_MAX_TAR_METADATA_BYTES = 1 << 20
_MAX_SHOWN = 100  # maximum length of a name in the messages about long names
_RATIO_CHECK_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 20
_TAR_END_BYTES = 1024  # two blocks of zeros
_DECOMPRESSORS: tuple[tuple[bytes, Callable[[IO[bytes]], Any]], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ", lzma.open),
)


def read_members(path: Path, limits: DatasetLimits) -> Iterator[Member]:
    """Yield the name and content of each regular file in a folder, zip or tar, in stored order.

    Raises:
        ArchiveUnreadable: the path is neither a folder nor a complete zip or tar.
        ArchiveRefused: a path leads out of the archive, a file is a link or device, or a limit is
            exceeded.
    """
    for name, stream in open_members(path, limits):
        yield name, stream.read()


def open_members(
    path: Path, limits: DatasetLimits
) -> Iterator[tuple[PurePosixPath, "MemberStream"]]:
    """Yield the name and stream of each regular file in a folder, zip or tar, in stored order.

    Each stream must be read before the next one is requested.

    Raises:
        ArchiveUnreadable: the path is neither a folder nor a complete zip or tar.
        ArchiveRefused: a path leads out of the archive, a file is a link or device, or a limit is
            exceeded.
    """
    entries = _iter_entries(path, limits)
    counter = None if path.is_dir() else _LimitCounter(limits, path.stat().st_size)
    for name, open_file in _guard_entries(entries):
        if counter is not None:
            counter.count_file()
        with _archive_errors(name):
            file = open_file()
        with file:
            yield name, MemberStream(file, name, counter)


class MemberStream:
    """A file in an archive, as a stream that can be read once.

    Limits are checked against the bytes that are actually read, because the size in the archive's
    header cannot be trusted.
    """

    def __init__(
        self, file: IO[bytes], name: PurePosixPath, counter: "_LimitCounter | None"
    ) -> None:
        self._file, self._name, self._counter = file, name, counter
        self._bytes_read = 0

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes, or all remaining bytes, which must fit in memory."""
        if self._counter is None:
            with _archive_errors(self._name):
                return self._file.read(size)
        limits = self._counter.limits
        limit = limits.packed_bytes if size >= 0 else limits.file_bytes
        with _archive_errors(self._name):
            content = self._file.read(size if size >= 0 else limit + 1 - self._bytes_read)
        self._bytes_read += len(content)
        if self._bytes_read > limit:
            raise ArchiveRefused(
                f"{str(self._name)!r} is larger than {limit >> 20} MiB.",
                hint=limits.too_large_hint,
            )
        self._counter.count_bytes(len(content), self._name)
        return content

    def open_tar(self, limits: DatasetLimits) -> Iterator[tuple[PurePosixPath, "MemberStream"]]:
        """Yield the files of this file, which is a tar, as `open_members` does.

        Their names begin with the name of this file. Their bytes count as bytes of this file.
        """
        inner = None if self._counter is None else _LimitCounter(limits, limits.total_bytes)
        for name, file in _guard_entries(_iter_tar_members(self, limits, self._name), self._name):
            if self._counter is not None:
                self._counter.count_file()
            yield self._name / name, MemberStream(file, self._name / name, inner)

    @contextmanager
    def seekable(self) -> Iterator[IO[bytes]]:
        """Copy the file to an unnamed temporary file, for readers that need to seek."""
        with tempfile.TemporaryFile() as copy:
            while chunk := self.read(_CHUNK_BYTES):
                copy.write(chunk)
            copy.seek(0)
            yield copy


def list_names(path: Path, limits: DatasetLimits) -> list[PurePosixPath]:
    """Return the names of all regular files.

    A tar has no index, so it is read from beginning to end.

    Raises:
        ArchiveUnreadable: the path is neither a folder nor a complete zip or tar.
        ArchiveRefused: a path leads out of the archive, or a file is a link or device.
    """
    with _archive_errors():
        return [name for name, _ in _iter_entries(path, limits)]


def is_tar(path: Path) -> bool:
    """Return whether a file is a tar archive, compressed or not."""
    if not path.is_file() or zipfile.is_zipfile(path):
        return False
    try:
        with _open_decompressed(path) as stream:
            tarfile.TarInfo.frombuf(stream.read(tarfile.BLOCKSIZE), "utf-8", "surrogateescape")
    except (*_ARCHIVE_ERRORS, MemoryError):
        return False
    return True


@contextmanager
def _archive_errors(name: PurePosixPath | None = None) -> Iterator[None]:
    subject = "The archive" if name is None else repr(str(name))
    try:
        yield
    except _ARCHIVE_ERRORS as error:
        raise ArchiveUnreadable(f"{subject} cannot be read: {error}") from error
    except MemoryError as error:
        raise ArchiveRefused(
            f"{subject} needs more memory to unpack than this process may use."
        ) from error


def _guard_entries(
    entries: Iterator[_Entry], archive: PurePosixPath | None = None
) -> Iterator[_Entry]:
    """Yield the entries, and raise `ArchiveUnreadable` if reading one from the archive fails.

    Errors in the code that uses the entries are not converted.
    """
    while True:
        with _archive_errors(archive):
            entry = next(entries, None)
        if entry is None:
            return
        yield entry


def _iter_entries(path: Path, limits: DatasetLimits) -> Iterator[Entry]:
    if path.is_dir():
        return _iter_folder(path)
    if not path.is_file():
        raise ArchiveUnreadable(f"There is no file or folder {path.name!r}.")
    if zipfile.is_zipfile(path):
        return _iter_zip(path, limits)
    if is_tar(path):
        return _iter_tar(path, limits)
    raise ArchiveUnreadable("The file is neither a zip nor a tar archive.")


def _iter_folder(root: Path) -> Iterator[Entry]:
    for file in sorted(root.rglob("*")):
        name = PurePosixPath(file.relative_to(root).as_posix())
        _check_encoding(str(name))
        if file.is_file() and not _is_junk(name):
            yield name, partial(_open_file, file)


def _iter_zip(path: Path, limits: DatasetLimits) -> Iterator[Entry]:
    with _ZipDirectoryReader(path, limits) as file, zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            name = _safe_name(info.filename, limits)
            problem = find_member_problem(info)
            if problem is not None:
                raise ArchiveRefused(
                    f"{info.filename!r} {problem}.",
                    hint="Pack only regular files, without a password.",
                )
            if not info.is_dir() and not _is_junk(name):
                yield name, partial(archive.open, info)


def _iter_tar(path: Path, limits: DatasetLimits) -> Iterator[Entry]:
    with _open_decompressed(path) as stream:
        bounded = _BoundedStream(stream, _LimitCounter(limits, path.stat().st_size))
        for name, member in _iter_tar_members(bounded, limits):
            bounded.name = name
            yield name, partial(_return_stream, member)


def _iter_tar_members(
    stream: "ReadableStream", limits: DatasetLimits, shard: PurePosixPath | None = None
) -> Iterator[tuple[PurePosixPath, IO[bytes]]]:
    """Yield the name and stream of each regular file in a tar that is read from a stream.

    Raises:
        ArchiveUnreadable: the tar is incomplete or followed by more data.
        ArchiveRefused: a path leads out of the archive, or a file is a link, device or sparse.
    """
    with _read_tar(stream, "The tar archive" if shard is None else str(shard)) as archive:
        for info in archive:
            name = _safe_name(info.name, limits)
            if info.isdir():
                continue
            if info.issparse():
                raise ArchiveRefused(
                    f"{info.name!r} is a sparse file.",
                    hint="Create the archive without the option --sparse.",
                )
            if not info.isreg():
                raise ArchiveRefused(f"{info.name!r} is a link or a device.")
            member = archive.extractfile(info)
            if member is not None and not _is_junk(name):
                yield name, member


class _ZipDirectoryReader(io.FileIO):
    """A zip file that counts the entries of its directory before `zipfile` creates them.

    `zipfile` reads the directory at once, and an entry takes many times its size in memory.
    """

    def __init__(self, path: Path, limits: DatasetLimits) -> None:
        super().__init__(path)
        self._limits = limits

    def read(self, size: int | None = -1, /) -> bytes:
        limits = self._limits
        if size is not None and size > limits.directory_bytes:
            raise ArchiveRefused(
                f"The archive has a directory of {size >> 20} MiB, more than the limit of"
                f" {limits.directory_bytes >> 20} MiB.",
                hint="Use fewer files or shorter names.",
            )
        content = super().read(size)
        if content.count(_ZIP_DIRECTORY_ENTRY) > limits.max_files:
            raise ArchiveRefused(f"The archive holds more than {limits.max_files} files.")
        return content


class _BoundedStream:
    """The unpacked bytes of a tar. Bytes that no file is read from count toward the limits, too.

    Args:
        name: the last file that was found.
    """

    def __init__(self, stream: IO[bytes], counter: "_LimitCounter") -> None:
        self._stream, self._counter = stream, counter
        self.name = PurePosixPath()

    def read(self, size: int = -1, /) -> bytes:
        content = self._stream.read(size)
        self._counter.count_bytes(len(content), self.name)
        return content


@contextmanager
def _open_decompressed(path: Path) -> Iterator[IO[bytes]]:
    """Open a tar that may be compressed. Reading raises an error if compressed data is cut off.

    `tarfile` itself ends a cut compressed archive without an error.
    """
    with path.open("rb") as file:
        magic = file.read(6)
        file.seek(0)
        opener = next((open_ for start, open_ in _DECOMPRESSORS if magic.startswith(start)), None)
        if opener is None:
            yield file
            return
        with opener(file) as stream:
            yield stream


class _BoundedTarInfo(tarfile.TarInfo):
    """A tar header that is refused if it announces more metadata than a name needs."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        info = super().frombuf(buf, encoding, errors)
        if info.type in _TAR_METADATA and info.size > _MAX_TAR_METADATA_BYTES:
            raise ArchiveRefused(
                f"A header of the archive has {info.size} bytes of metadata, more than the limit of"
                f" {_MAX_TAR_METADATA_BYTES}.",
                hint="Use shorter names.",
            )
        return info


@contextmanager
def _read_tar(stream: "ReadableStream", title: str) -> Iterator[tarfile.TarFile]:
    """Read a tar from beginning to end, and check afterwards that it was complete.

    `tarfile` ends a tar that was cut off, or that is followed by another one, without an error.

    Raises:
        ArchiveUnreadable: the tar does not end with blocks of zeros, or more data follows.
    """
    tail = _TailReader(stream)
    # Stream mode only reads forward, so the archive is never completely in memory.
    with tarfile.open(
        fileobj=cast("IO[bytes]", tail), mode="r|", tarinfo=_BoundedTarInfo
    ) as archive:
        yield archive
        end = archive.offset
    while tail.read(_CHUNK_BYTES):
        pass
    if tail.count == 0 or tail.last.strip(b"\0") or len(tail.last) < _TAR_END_BYTES:
        raise ArchiveUnreadable(
            f"{title} is incomplete: its end is missing.",
            hint="Create or copy the archive again.",
        )
    if tail.last_data > end:
        raise ArchiveUnreadable(
            f"{title} is followed by more data, such as a second archive.",
            hint="Pack all images into one archive.",
        )


class _TailReader:
    """Passes on a stream, and remembers its length, its last bytes and where its data ends."""

    def __init__(self, stream: "ReadableStream") -> None:
        self._stream = stream
        self.count, self.last, self.last_data = 0, b"", 0

    def read(self, size: int = -1) -> bytes:
        content = self._stream.read(size)
        data = content.rstrip(b"\0")
        if data:
            self.last_data = self.count + len(data)
        self.count += len(content)
        self.last = (self.last + content)[-_TAR_END_BYTES:]
        return content


def _open_file(file: Path) -> IO[bytes]:
    return file.open("rb")


def _return_stream(stream: IO[bytes]) -> IO[bytes]:
    return stream


def _safe_name(name: str, limits: DatasetLimits) -> PurePosixPath:
    _check_encoding(name)
    path = PurePosixPath(name.replace("\\", "/"))
    if not name:
        raise ArchiveRefused("The archive contains a file without a name.")
    if any(len(part) > limits.name_length for part in path.parts):
        raise ArchiveRefused(
            f"A part of the name {name[:_MAX_SHOWN]!r}… is longer than {limits.name_length}"
            " characters.",
            hint="Use shorter names.",
        )
    has_drive = path.parts[0].endswith(":") if path.parts else False
    if path.is_absolute() or has_drive or ".." in path.parts or "\0" in name:
        raise ArchiveRefused(f"{name!r} points outside the archive.")
    if len(path.parts) > limits.path_depth:
        raise ArchiveRefused(f"{name!r} is nested deeper than {limits.path_depth} folders.")
    return path


def _check_encoding(name: str) -> None:
    """Raise `ArchiveRefused` if the bytes of a name are not UTF-8, which Python marks in it."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ArchiveRefused(
            f"The name {name[:_MAX_SHOWN]!r} is not encoded as UTF-8.",
            hint="Rename the file or folder, and pack the archive again.",
        ) from error


def _is_junk(name: PurePosixPath) -> bool:
    return any(part in _JUNK_NAMES or part.startswith("._") for part in name.parts)


def max_unpacked_bytes(packed_bytes: int, limits: DatasetLimits) -> int:
    """Return to how many bytes compressed data may unpack."""
    ratio_limit = max(_RATIO_CHECK_BYTES, packed_bytes * limits.compression_ratio)
    return min(limits.total_bytes, ratio_limit)


@dataclass
class _LimitCounter:
    """Counts the files and bytes read from an archive and raises when a limit is exceeded.

    It is not used for folders, because they belong to the user of this machine.
    """

    limits: DatasetLimits
    archive_bytes: int
    files_read: int = 0
    bytes_read: int = 0

    def count_file(self) -> None:
        self.files_read += 1
        if self.files_read > self.limits.max_files:
            raise ArchiveRefused(f"The archive holds more than {self.limits.max_files} files.")

    def count_bytes(self, count: int, name: PurePosixPath) -> None:
        self.bytes_read += count
        if self.bytes_read > max_unpacked_bytes(self.archive_bytes, self.limits):
            raise ArchiveRefused(
                f"The archive of {self.archive_bytes} bytes unpacks to more than"
                f" {self.bytes_read >> 20} MiB, most recently in {str(name)!r}: it looks like a"
                " decompression bomb."
            )
