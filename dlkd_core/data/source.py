"""Where files come from: a folder, a zip or a tar. Members are read in memory and never unpacked to disk."""

import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO

from dlkd_core.data.limits import Limits
from dlkd_core.errors import ArchiveRefused, ArchiveUnreadable

Member = tuple[PurePosixPath, bytes]
Entry = tuple[PurePosixPath, Callable[[], bytes]]  # a name, and its content while the archive stands there
_JUNK = {"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"}
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, LZMAError, EOFError, NotImplementedError, RuntimeError, OSError)
_RATIO_MATTERS_ABOVE = 64 << 20


def members(path: Path, limits: Limits) -> Iterator[Member]:
    """Name and content of every regular file of a folder, zip or tar, in the order in which they are stored.

    Raises:
        ArchiveUnreadable: neither a folder nor a whole zip or tar.
        ArchiveRefused: a path that escapes, a link, a device, or a cap passed.
    """
    read = ((name, content()) for name, content in _entries(path, limits))
    try:
        yield from read if path.is_dir() else _counted(read, path, limits)
    except _BROKEN as error:
        raise ArchiveUnreadable(f"The archive cannot be read: {error}") from error


def names(path: Path, limits: Limits) -> list[PurePosixPath]:
    """The names alone, without reading the files of a folder or zip. Raises as `members` does."""
    try:
        return [name for name, _ in _entries(path, limits)]
    except _BROKEN as error:
        raise ArchiveUnreadable(f"The archive cannot be read: {error}") from error


def _entries(path: Path, limits: Limits) -> Iterator[Entry]:
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise ArchiveUnreadable(f"There is no file or folder {path.name!r}.")
    if zipfile.is_zipfile(path):
        return _zip(path, limits)
    if tarfile.is_tarfile(path):
        return _tar(path, limits)
    raise ArchiveUnreadable("The file is neither a zip nor a tar archive.")


def _folder(root: Path) -> Iterator[Entry]:
    for file in sorted(root.rglob("*")):
        name = PurePosixPath(file.relative_to(root).as_posix())
        if file.is_file() and not _is_junk(name):
            yield name, file.read_bytes


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
                yield name, partial(_member_of_zip, archive, info, name, limits)


def _member_of_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: PurePosixPath, limits: Limits) -> bytes:
    with archive.open(info) as stream:
        return _read(stream, name, limits)


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
                yield name, partial(_read, stream, name, limits)


def _read(stream: IO[bytes], name: PurePosixPath, limits: Limits) -> bytes:
    content = stream.read(limits.file_bytes + 1)  # what the header claims is not believed
    if len(content) > limits.file_bytes:
        raise ArchiveRefused(f"{str(name)!r} is larger than {limits.file_bytes >> 20} MiB.")
    return content


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


def _counted(source: Iterator[Member], path: Path, limits: Limits) -> Iterator[Member]:
    total, packed = 0, path.stat().st_size
    for count, (name, content) in enumerate(source, start=1):
        total += len(content)
        if count > limits.files:
            raise ArchiveRefused(f"The archive holds more than {limits.files} files.")
        if total > limits.total_bytes or total > max(_RATIO_MATTERS_ABOVE, packed * limits.ratio):
            raise ArchiveRefused(
                f"The archive unpacks to more than {total >> 20} MiB from {packed >> 20} MiB: it looks like a bomb."
            )
        yield name, content
