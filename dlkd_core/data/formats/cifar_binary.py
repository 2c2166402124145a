"""The binary versions of CIFAR-10 and CIFAR-100.

Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html.
"""

import re
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from dlkd_core.data.decoding.archive import read_members
from dlkd_core.data.decoding.decoded_dataset import DecodedDataset, dataset_from_arrays
from dlkd_core.data.read_options import DatasetLimits, ReadOptions
from dlkd_core.errors import ArchiveUnreadable, LayoutInvalid

_PIXEL_BYTES = 3 * 32 * 32
_CIFAR10_FILE = re.compile(r"data_batch_\d+\.bin|test_batch\.bin")
_CIFAR100_FILE = re.compile(r"(train|test)\.bin")
_CLASS_NAME_FILES = ("batches.meta.txt", "fine_label_names.txt")


def read(path: Path, read_options: ReadOptions) -> DecodedDataset:
    """Read CIFAR-10 or CIFAR-100.

    CIFAR-10 records have one label. CIFAR-100 records have a coarse and a fine label, and the fine
    labels are used.
    """
    records: dict[str, list[npt.NDArray[np.uint8]]] = {"train": [], "val": []}
    classes: list[str] | None = None
    for name, content in sorted(_read_cifar_files(path, read_options.array_limits)):
        if name.name in _CLASS_NAME_FILES:
            classes = content.decode("utf-8", "replace").split()
        else:
            split = "val" if name.name.startswith("test") else "train"
            records[split].append(_parse_records(content, name))
    widths = {part.shape[1] for parts in records.values() for part in parts}
    if not records["train"] or len(widths) > 1:
        raise LayoutInvalid(
            "The files are not a single, complete CIFAR dataset: training batches are missing, or "
            "CIFAR-10 and CIFAR-100 are mixed.",
            hint="Upload all files of either CIFAR-10 or CIFAR-100.",
        )
    tables = {split: np.concatenate(parts) for split, parts in records.items() if parts}
    images = {
        split: table[:, -_PIXEL_BYTES:].reshape(-1, 3, 32, 32) for split, table in tables.items()
    }
    labels = {
        split: table[:, -_PIXEL_BYTES - 1].astype(np.int64) for split, table in tables.items()
    }
    return dataset_from_arrays(images, labels, classes, read_options)


def _read_cifar_files(path: Path, limits: DatasetLimits) -> list[tuple[PurePosixPath, bytes]]:
    return [
        (name, content)
        for name, content in read_members(path, limits)
        if name.name in _CLASS_NAME_FILES
        or _CIFAR10_FILE.fullmatch(name.name)
        or _CIFAR100_FILE.fullmatch(name.name)
    ]


def _parse_records(content: bytes, name: PurePosixPath) -> npt.NDArray[np.uint8]:
    """Return the records in a file as an array (N, bytes per record)."""
    width = _PIXEL_BYTES + (2 if _CIFAR100_FILE.fullmatch(name.name) else 1)
    if not content or len(content) % width:
        raise ArchiveUnreadable(
            f"The size of {name} is not a multiple of {width} bytes, the size of one record. "
            "The file may be truncated.",
            hint="Upload the file again.",
        )
    return np.frombuffer(content, np.uint8).reshape(-1, width)
