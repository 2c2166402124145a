"""IDX files, the form of MNIST and its relatives (http://yann.lecun.com/exdb/mnist, "File formats"); plain or gzipped."""

import gzip
import re
import zlib
from io import BytesIO
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from dlkd_core.data.decoded import Decoded, Labels, from_arrays
from dlkd_core.data.limits import Limits
from dlkd_core.data.reading import Reading
from dlkd_core.data.source import members
from dlkd_core.errors import ArchiveUnreadable, LayoutInvalid

_NAME = re.compile(r"(train|t10k|test|val)-(images|labels)[-.]idx(\d)-ubyte(\.gz)?", re.IGNORECASE)
_UNSIGNED_BYTES = 0x08
_GIVES_LABELS = "labels"


def read(path: Path, reading: Reading) -> Decoded:
    """All pairs of images and labels; t10k, test and val are the val split."""
    limits = reading.of_arrays
    found: dict[tuple[str, str], npt.NDArray[np.uint8]] = {}
    for name, content in members(path, limits):
        known = _NAME.fullmatch(name.name)
        if known:
            split = "train" if known[1].lower() == "train" else "val"
            found[split, known[2].lower()] = _array(content, name, limits)
    images = {split: array for (split, kind), array in found.items() if kind != _GIVES_LABELS}
    labels: dict[str, Labels] = {split: array.astype(np.int64) for (split, kind), array in found.items() if kind == _GIVES_LABELS}
    missing = sorted(set(images) ^ set(labels))
    if missing or "train" not in images:
        raise LayoutInvalid(f"Images and labels must come in pairs; {', '.join(missing) or 'train'} is not whole.")
    return from_arrays(images, labels, None, reading)


def _array(content: bytes, name: PurePosixPath, limits: Limits) -> npt.NDArray[np.uint8]:
    content = _unpacked(content, name, limits) if name.suffix.lower() == ".gz" else content
    if len(content) < 4 or content[:3] != bytes((0, 0, _UNSIGNED_BYTES)):
        raise ArchiveUnreadable(f"{name} is no IDX file of unsigned bytes.", hint="Send the files as MNIST has them.")
    sides = content[3]
    shape = [int(side) for side in np.frombuffer(content, ">u4", sides, 4)] if len(content) >= 4 + 4 * sides else []
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * sides) if shape else np.empty(0, np.uint8)
    if not shape or values.size != int(np.prod(shape, dtype=np.int64)):
        raise ArchiveUnreadable(f"{name} is cut off, or its header is damaged.", hint="Send the file again.")
    return values.reshape(shape)


def _unpacked(content: bytes, name: PurePosixPath, limits: Limits) -> bytes:
    try:
        with gzip.open(BytesIO(content)) as file:
            unpacked = file.read(limits.file_bytes + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ArchiveUnreadable(f"{name} does not unpack: {error}", hint="Send the file again.") from error
    if len(unpacked) > limits.file_bytes:
        raise ArchiveUnreadable(f"{name} unpacks to more than {limits.file_bytes >> 20} MiB.", hint="Send fewer images.")
    return unpacked
