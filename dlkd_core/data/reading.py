"""How a data set is read: its caps, the size of its images, and where they go that memory does not hold."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dlkd_core.data.limits import DEFAULT_LIMITS, Limits
from dlkd_core.data.memory import share_of_memory
from dlkd_core.errors import DatasetTooLarge
from dlkd_core.spec import DEFAULT_RESIZE, Resize

Shape = tuple[int, ...]
_COPIES = 2  # on disk for a moment: as it is decoded, and as it is kept


@dataclass(frozen=True)
class Reading:
    """`size` is the side of the square that images become, None their most common size; `resize` how they become it.

    `memory_bytes`: more decoded images than this are kept on disk; None: half of the memory that this process may take.
    `cache`: the folder in which they are kept packed for the next time; None: in temporary files, for this time.
    """

    limits: Limits = DEFAULT_LIMITS
    size: int | None = None
    resize: Resize = DEFAULT_RESIZE
    memory_bytes: int | None = None
    cache: Path | None = None

    @property
    def in_memory(self) -> int:
        """Bytes of decoded images that may lie in memory."""
        return share_of_memory() if self.memory_bytes is None else self.memory_bytes

    @property
    def of_arrays(self) -> Limits:
        """The caps where a whole file is read into memory."""
        return self.limits.of_arrays(self.in_memory)

    def room(self, shapes: Mapping[str, Shape]) -> dict[str, npt.NDArray[np.uint8]]:
        """Empty arrays of bytes: in memory where all of them fit, else in files that vanish when they are let go.

        Raises:
            DatasetTooLarge: beyond the cap, or more than the disk has free.
        """
        total = sum(prod(shape) for shape in shapes.values())
        if total > self.limits.packed_bytes:
            limit = f"the limit of {self.limits.packed_bytes >> 20} MiB"
            raise DatasetTooLarge(f"The images decode to {total >> 20} MiB, more than {limit}.")
        if total <= self.in_memory:
            return {name: np.empty(shape, np.uint8) for name, shape in shapes.items()}
        folder = self.cache or Path(tempfile.gettempdir())
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
        if _COPIES * total > free:
            raise DatasetTooLarge(
                f"The images decode to {total >> 20} MiB; memory does not hold them, and {folder} has {free >> 20} MiB free.",
                hint=f"Give a cache folder with {_COPIES * total >> 20} MiB, or a smaller dataset.image_size.",
            )
        return {name: _on_disk(shape, folder) for name, shape in shapes.items()}


def _on_disk(shape: Shape, folder: Path) -> npt.NDArray[np.uint8]:
    with tempfile.TemporaryFile(dir=folder) as file:  # the mapping outlives its name and its descriptor
        if not prod(shape):
            return np.empty(shape, np.uint8)
        return np.memmap(file, np.uint8, "w+", shape=shape)


DEFAULT_READING = Reading()
