"""WebDataset (https://github.com/webdataset/webdataset): files of one sample share a key; `cat.jpg` and `cat.cls` are one.

The shards may lie in folders called train and val, or be tars within the archive whose names say which split they are.
"""

import re
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Protocol, cast

from dlkd_core.data.decoded import NO_LABEL, Decoded
from dlkd_core.data.encoded import from_members
from dlkd_core.data.layout import UNLABELLED
from dlkd_core.data.limits import Limits
from dlkd_core.data.reading import Reading
from dlkd_core.data.source import Member, Stream, streams
from dlkd_core.errors import ArchiveUnreadable, LayoutInvalid

_IMAGES = frozenset({"jpg", "jpeg", "png", "webp", "ppm", "bmp"})
_VAL = re.compile(r"val|test", re.IGNORECASE)
_DIGITS = 8  # of the folders that stand for class indices


class _Readable(Protocol):
    def read(self) -> bytes:
        """All of it."""


def read(path: Path, reading: Reading) -> Decoded:
    """Labels are the numbers in .cls; classes without a name of their own are called by them. A split without .cls has none."""
    labels: set[int] = set()
    labelled: set[str] = set()
    for name, stream in _files(path, reading.limits):
        if name.suffix == ".cls":
            labels.add(_label(stream.read(), name))
            labelled.add(_split_of(name))
    names = [str(label) for label in range(max(labels, default=NO_LABEL) + 1)]
    return from_members(lambda: _samples(path, reading.limits, labelled), reading, names)


def _samples(path: Path, limits: Limits, labelled: set[str]) -> Iterator[Member]:
    """The images as train/<index>/<shard>/<key>."""
    waiting: dict[PurePosixPath, dict[str, bytes]] = defaultdict(dict)
    for name, stream in _files(path, limits):
        key, kind = name.with_name(name.name.partition(".")[0]), name.name.partition(".")[2].lower()
        split = _split_of(name)
        if kind in _IMAGES and split not in labelled:
            yield PurePosixPath(split, UNLABELLED, *key.parts), stream.read()
        elif kind == "cls" or kind in _IMAGES:
            waiting[key]["cls" if kind == "cls" else "image"] = stream.read()
            if len(waiting[key]) == 2:
                parts = waiting.pop(key)
                yield PurePosixPath(split, f"{_label(parts['cls'], name):0{_DIGITS}}", *key.parts), parts["image"]


def _split_of(name: PurePosixPath) -> str:
    return "val" if _VAL.search(str(name.parent)) else "train"


def _files(path: Path, limits: Limits) -> Iterator[tuple[PurePosixPath, _Readable]]:
    """The archive's files, and those of the tars in it under the tars' names. Each is to be read before the next."""
    for name, stream in streams(path, limits):
        if name.suffix == ".tar":
            yield from _shard(name, stream, limits)
        else:
            yield name, stream


def _shard(shard: PurePosixPath, shard_stream: Stream, limits: Limits) -> Iterator[tuple[PurePosixPath, _Readable]]:
    try:
        with tarfile.open(
            fileobj=cast("IO[bytes]", shard_stream), mode="r|"
        ) as archive:  # forwards alone: no shard lies in memory
            for info in archive:
                stream = archive.extractfile(info) if info.isreg() and info.size <= limits.file_bytes else None
                if stream is not None:
                    yield shard / PurePosixPath(info.name).name, stream
    except tarfile.TarError as error:
        raise ArchiveUnreadable(f"The shard {shard} cannot be read: {error}") from error


def _label(content: bytes, name: PurePosixPath) -> int:
    try:
        label = int(content)
    except ValueError as error:
        raise LayoutInvalid(f"{name} holds no class index.", hint="Write the number of the class into it.") from error
    if not 0 <= label < 10 ** (_DIGITS - 2):
        raise LayoutInvalid(f"{name} holds the class index {label}.", hint="Count the classes from 0.")
    return label
