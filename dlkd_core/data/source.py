"""Where files come from: a folder, a zip or a tar. Members are read one at a time, and no file is made under their names."""

import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO

from dlkd_core.data.limits import Limits
from dlkd_core.errors import ArchiveRefused, ArchiveUnreadable

Member = tuple[PurePosixPath, bytes]
Entry = tuple[PurePosixPath, Callable[[], IO[bytes]]]  # a name, and its content while the archive stands there
_JUNK = {"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"}
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, LZMAError, EOFError, NotImplementedError, RuntimeError, OSError)
_RATIO_MATTERS_ABOVE = 64 << 20
_CHUNK = 1 << 20


def members(path: Path, limits: Limits) -> Iterator[Member]:
    """Name and content of every regular file of a folder, zip or tar, in the order in which they are stored.

    Raises:
        ArchiveUnreadable: neither a folder nor a whole zip or tar.
        ArchiveRefused: a path that escapes, a link, a device, or a cap passed.
    """
    for name, stream in streams(path, limits):
        yield name, stream.read()


def streams(path: Path, limits: Limits) -> Iterator[tuple[PurePosixPath, "Stream"]]:
    """The same without reading them: each is to be read before the next one is asked for. Raises as `members` does."""
    entries = _entries(path, limits)
    meter = None if path.is_dir() else _Meter(limits, path.stat().st_size)
    for name, begin in _translated(entries):
        if meter is not None:
            meter.next_file()
        with _unreadable():
            opened = begin()
        with opened:
            yield name, Stream(opened, name, meter)


class Stream:
    """A file, read once from its beginning; what the archive's header claims of its size is not believed."""

    def __init__(self, opened: IO[bytes], name: PurePosixPath, meter: "_Meter | None") -> None:
        self._opened, self._name, self._meter = opened, name, meter
        self._seen = 0

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes, or all that is left, which then has to fit in memory."""
        if self._meter is None:
            with _unreadable():
                return self._opened.read(size)
        cap = self._meter.limits.packed_bytes if size >= 0 else self._meter.limits.file_bytes
        with _unreadable():
            content = self._opened.read(size if size >= 0 else cap + 1 - self._seen)
        self._seen += len(content)
        if self._seen > cap:
            raise ArchiveRefused(f"{str(self._name)!r} is larger than {cap >> 20} MiB.", hint=self._meter.limits.advice)
        self._meter.add(len(content))
        return content

    @contextmanager
    def seekable(self) -> Iterator[IO[bytes]]:
        """The file for readers that jump about: a copy in a temporary file without a name, so that memory need not hold it."""
        with tempfile.TemporaryFile() as copy:
            while chunk := self.read(_CHUNK):
                copy.write(chunk)
            copy.seek(0)
            yield copy


def names(path: Path, limits: Limits) -> list[PurePosixPath]:
    """The names alone, without reading the files of a folder or zip. Raises as `members` does."""
    with _unreadable():
        return [name for name, _ in _entries(path, limits)]


def is_tar(path: Path) -> bool:
    """Whether it is read as a tar, compressed or not."""
    return path.is_file() and not zipfile.is_zipfile(path) and tarfile.is_tarfile(path)


@contextmanager
def _unreadable() -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise ArchiveUnreadable(f"The archive cannot be read: {error}") from error


def _translated(entries: Iterator[Entry]) -> Iterator[Entry]:
    """The entries; what breaks while the archive is walked through is said in our words, what breaks in between is not ours."""
    while True:
        with _unreadable():
            entry = next(entries, None)
        if entry is None:
            return
        yield entry


def _entries(path: Path, limits: Limits) -> Iterator[Entry]:
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise ArchiveUnreadable(f"There is no file or folder {path.name!r}.")
    if zipfile.is_zipfile(path):
        return _zip(path, limits)
    if is_tar(path):
        return _tar(path, limits)
    raise ArchiveUnreadable("The file is neither a zip nor a tar archive.")


def _folder(root: Path) -> Iterator[Entry]:
    for file in sorted(root.rglob("*")):
        name = PurePosixPath(file.relative_to(root).as_posix())
        if file.is_file() and not _is_junk(name):
            yield name, partial(_opened, file)


def _zip(path: Path, limits: Limits) -> Iterator[Entry]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name = _safe_name(info.filename, limits)
            kind = info.external_attr >> 28  # the file type of a Unix mode; 0 where the packer wrote none
            if kind not in (0, 0o4, 0o10):
                raise ArchiveRefused(f"{info.filename!r} is a link or a device.")
            if info.flag_bits & 1:
                raise ArchiveRefused(f"{info.filename!r} is encrypted.", hint="Pack the archive without a password.")
            if not info.is_dir() and not _is_junk(name):
                yield name, partial(archive.open, info)


def _tar(path: Path, limits: Limits) -> Iterator[Entry]:
    with tarfile.open(path, mode="r|*") as archive:
        for info in archive:
            name = _safe_name(info.name, limits)
            if info.isdir():
                continue
            if not info.isreg():
                raise ArchiveRefused(f"{info.name!r} is a link or a device.")
            stream = archive.extractfile(info)
            if stream is not None and not _is_junk(name):
                yield name, partial(_same, stream)


def _opened(file: Path) -> IO[bytes]:
    return file.open("rb")


def _same(stream: IO[bytes]) -> IO[bytes]:
    return stream


def _safe_name(name: str, limits: Limits) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    drive = path.parts[0].endswith(":") if path.parts else False
    if path.is_absolute() or drive or ".." in path.parts or "\0" in name:
        raise ArchiveRefused(f"{name!r} points outside the archive.")
    if len(path.parts) > limits.depth:
        raise ArchiveRefused(f"{name!r} is nested deeper than {limits.depth} folders.")
    return path


def _is_junk(name: PurePosixPath) -> bool:
    return any(part in _JUNK or part.startswith("._") for part in name.parts)


@dataclass
class _Meter:
    """What was read of an archive, held against the caps. Folders have none: they are the user's own."""

    limits: Limits
    packed: int
    files: int = 0
    total: int = 0

    def next_file(self) -> None:
        self.files += 1
        if self.files > self.limits.files:
            raise ArchiveRefused(f"The archive holds more than {self.limits.files} files.")

    def add(self, count: int) -> None:
        self.total += count
        if self.total > self.limits.total_bytes or self.total > max(_RATIO_MATTERS_ABOVE, self.packed * self.limits.ratio):
            raise ArchiveRefused(
                f"The archive unpacks to more than {self.total >> 20} MiB from {self.packed >> 20} MiB: it looks like a bomb."
            )
