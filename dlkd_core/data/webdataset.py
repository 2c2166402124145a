"""WebDataset (https://github.com/webdataset/webdataset): files of one sample share a key; `cat.jpg` and `cat.cls` are one.

The shards may lie in folders called train and val, or be tars within the archive whose names say which split they are.
"""

import io
import re
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from dlkd_core.data.decoded import Decoded
from dlkd_core.data.encoded import from_members
from dlkd_core.data.limits import Limits
from dlkd_core.data.source import Member, members
from dlkd_core.errors import ArchiveUnreadable, LayoutInvalid

_IMAGES = frozenset({"jpg", "jpeg", "png", "webp", "ppm", "bmp"})
_VAL = re.compile(r"val|test", re.IGNORECASE)
_DIGITS = 8  # of the folders that stand for class indices


def read(path: Path, limits: Limits) -> Decoded:
    """Labels are the numbers in .cls; classes without a name of their own are called by them."""
    labels: set[int] = set()
    for name, content in _files(path, limits):
        if name.suffix == ".cls":
            labels.add(_label(content, name))
    if not labels:
        raise LayoutInvalid(
            "There is no .cls file with a label.", hint="Pack each image with a file <key>.cls that holds its class index."
        )
    return from_members(lambda: _samples(path, limits), limits, [str(label) for label in range(max(labels) + 1)])


def _samples(path: Path, limits: Limits) -> Iterator[Member]:
    """The images as train/<index>/<shard>/<key>."""
    waiting: dict[PurePosixPath, dict[str, bytes]] = defaultdict(dict)
    for name, content in _files(path, limits):
        key, kind = name.with_name(name.name.partition(".")[0]), name.name.partition(".")[2].lower()
        if kind == "cls" or kind in _IMAGES:
            waiting[key]["cls" if kind == "cls" else "image"] = content
        if len(waiting[key]) == 2:
            parts = waiting.pop(key)
            split = "val" if _VAL.search(str(key.parent)) else "train"
            yield PurePosixPath(split, f"{_label(parts['cls'], name):0{_DIGITS}}", *key.parts), parts["image"]


def _files(path: Path, limits: Limits) -> Iterator[Member]:
    """The archive's files, and those of the tars in it under the tars' names."""
    for name, content in members(path, limits.of_containers()):
        if name.suffix == ".tar":
            yield from _shard(name, content, limits)
        else:
            yield name, content


def _shard(shard: PurePosixPath, content: bytes, limits: Limits) -> Iterator[Member]:
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            for info in archive:
                stream = archive.extractfile(info) if info.isreg() and info.size <= limits.file_bytes else None
                if stream is not None:
                    yield shard / PurePosixPath(info.name).name, stream.read()
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
