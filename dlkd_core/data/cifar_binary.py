"""The binary versions of CIFAR-10 and CIFAR-100 (Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html)."""

import re
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from dlkd_core.data.decoded import Decoded, from_arrays
from dlkd_core.data.limits import Limits
from dlkd_core.data.reading import Reading
from dlkd_core.data.source import members
from dlkd_core.errors import ArchiveUnreadable, LayoutInvalid

_PIXELS = 3 * 32 * 32
_TEN = re.compile(r"data_batch_\d+\.bin|test_batch\.bin")
_HUNDRED = re.compile(r"(train|test)\.bin")
_NAMES = ("batches.meta.txt", "fine_label_names.txt")


def read(path: Path, reading: Reading) -> Decoded:
    """Records of one label (CIFAR-10) or of a coarse and a fine one (CIFAR-100, whose fine ones are the classes)."""
    records: dict[str, list[npt.NDArray[np.uint8]]] = {"train": [], "val": []}
    classes: list[str] | None = None
    for name, content in sorted(_known(path, reading.of_arrays)):
        if name.name in _NAMES:
            classes = content.decode("utf-8", "replace").split()
        else:
            records["val" if name.name.startswith("test") else "train"].append(_records(content, name))
    whole = {split: np.concatenate(parts) for split, parts in records.items() if parts}
    if "train" not in whole or len({table.shape[1] for table in whole.values()}) > 1:
        raise LayoutInvalid("The files of CIFAR-10 and CIFAR-100 do not go together.", hint="Send one of the two sets.")
    images = {split: table[:, -_PIXELS:].reshape(-1, 3, 32, 32) for split, table in whole.items()}
    labels = {split: table[:, -_PIXELS - 1].astype(np.int64) for split, table in whole.items()}
    return from_arrays(images, labels, classes, reading)


def _known(path: Path, limits: Limits) -> list[tuple[PurePosixPath, bytes]]:
    wanted = (_TEN, _HUNDRED)
    return [
        (name, content)
        for name, content in members(path, limits)
        if name.name in _NAMES or any(pattern.fullmatch(name.name) for pattern in wanted)
    ]


def _records(content: bytes, name: PurePosixPath) -> npt.NDArray[np.uint8]:
    width = _PIXELS + (2 if _HUNDRED.fullmatch(name.name) else 1)
    if not content or len(content) % width:
        raise ArchiveUnreadable(f"{name} is no whole number of records of {width} bytes.", hint="Send the file again.")
    return np.frombuffer(content, np.uint8).reshape(-1, width)
