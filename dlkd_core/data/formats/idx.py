"""IDX files, the format of MNIST and related datasets, plain or gzipped.

http://yann.lecun.com/exdb/mnist, section "File formats".
"""

import gzip
import re
import zlib
from io import BytesIO
from math import prod
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from dlkd_core.data.decoding.archive import max_unpacked_bytes, read_members
from dlkd_core.data.decoding.decoded_dataset import DecodedDataset, Labels, dataset_from_arrays
from dlkd_core.data.read_options import DatasetLimits, ReadOptions
from dlkd_core.errors import ArchiveRefused, ArchiveUnreadable, LayoutInvalid

_FILE_NAME = re.compile(
    r"(train|t10k|test|val)-(images|labels)[-.]idx(\d)-ubyte(\.gz)?", re.IGNORECASE
)
_UNSIGNED_BYTES = 0x08
_MAX_DIMENSIONS = 4
_LABELS_KIND = "labels"


def read(path: Path, read_options: ReadOptions) -> DecodedDataset:
    """Read all pairs of image and label files.

    Files whose names start with t10k belong to the test split.
    """
    limits = read_options.array_limits
    arrays: dict[tuple[str, str], npt.NDArray[np.uint8]] = {}
    for name, content in read_members(path, limits):
        match = _FILE_NAME.fullmatch(name.name)
        if match:
            key = match[1].lower().replace("t10k", "test"), match[2].lower()
            if key in arrays:
                raise LayoutInvalid(
                    f"{name} and another file both hold the {key[1]} of the {key[0]} split.",
                    hint="Upload one file of images and one file of labels for each split.",
                )
            arrays[key] = _parse_array(content, name, limits)
    images = {split: array for (split, kind), array in arrays.items() if kind != _LABELS_KIND}
    labels: dict[str, Labels] = {
        split: array.astype(np.int64)
        for (split, kind), array in arrays.items()
        if kind == _LABELS_KIND
    }
    incomplete = sorted(set(images) ^ set(labels))
    if incomplete or "train" not in images:
        raise LayoutInvalid(
            "Every split needs a file of images and a file of labels. "
            f"Incomplete: {', '.join(incomplete) or 'train'}."
        )
    return dataset_from_arrays(images, labels, None, read_options)


def _parse_array(
    content: bytes, name: PurePosixPath, limits: DatasetLimits
) -> npt.NDArray[np.uint8]:
    content = _gunzip(content, name, limits) if name.suffix.lower() == ".gz" else content
    if len(content) < 4 or content[:3] != bytes((0, 0, _UNSIGNED_BYTES)):
        raise ArchiveUnreadable(
            f"{name} is not an IDX file of unsigned bytes.",
            hint="Upload files in the MNIST format.",
        )
    num_dimensions = content[3]
    data_offset = 4 + 4 * num_dimensions
    shape: list[int] = []
    values = np.empty(0, np.uint8)
    if len(content) >= data_offset:
        shape = [int(side) for side in np.frombuffer(content, ">u4", num_dimensions, 4)]
    if shape:
        values = np.frombuffer(content, np.uint8, offset=data_offset)
    if not 0 < len(shape) <= _MAX_DIMENSIONS or values.size != prod(shape):
        raise ArchiveUnreadable(
            f"{name} is truncated, or its header is damaged.", hint="Upload the file again."
        )
    return values.reshape(shape)


def _gunzip(content: bytes, name: PurePosixPath, limits: DatasetLimits) -> bytes:
    limit = min(limits.file_bytes, max_unpacked_bytes(len(content), limits))
    try:
        with gzip.open(BytesIO(content)) as file:
            unpacked = file.read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ArchiveUnreadable(
            f"{name} cannot be unpacked: {error}", hint="Upload the file again."
        ) from error
    if len(unpacked) > limit:
        raise ArchiveRefused(
            f"{name} unpacks to more than {limit >> 20} MiB.",
            hint="Upload fewer images, or files that are not compressed.",
        )
    return unpacked
