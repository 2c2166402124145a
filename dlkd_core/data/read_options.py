"""Options and limits for reading a dataset."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dlkd_core.errors import DatasetTooLarge
from dlkd_core.memory_limits import memory_budget
from dlkd_core.spec import DEFAULT_RESIZE, ResizeMode

Shape = tuple[int, ...]
ARRAYS_TOO_LARGE_HINT = (
    "Upload the images as files, Parquet or WebDataset, which need not fit in memory, "
    "or give the worker more memory."
)
# For a moment, decoded images are on disk twice: as decoded arrays and in the packed file.
_DISK_COPIES = 2


@dataclass(frozen=True)
class DatasetLimits:
    """Limits on the contents of a dataset.

    Archives are untrusted, so every limit is checked before the bytes are used.

    Args:
        max_files: number of files in the archive.
        file_bytes: size of one file.
        total_bytes: size of all files together.
        compression_ratio: ratio of the archive's unpacked size to its packed size. Checked only if
            the unpacked size exceeds 64 MiB.
        directory_bytes: size of the directory of a zip.
        path_depth: number of components in a path.
        name_length: number of characters in a component of a path, and in a class name.
        image_pixels: number of pixels in one image.
        packed_bytes: size of all decoded images, in memory or on disk.
        broken_fraction: fraction of the training images that may be undecodable. Such images are
            skipped and listed. A larger fraction is an error.
        too_large_hint: hint in the error about a file larger than `file_bytes`.
    """

    max_files: int = 2_000_000
    file_bytes: int = 64 << 20
    total_bytes: int = 256 << 30
    compression_ratio: int = 200
    directory_bytes: int = 512 << 20
    path_depth: int = 12
    name_length: int = 255
    image_pixels: int = 64_000_000
    packed_bytes: int = 256 << 30
    broken_fraction: float = 0.01
    too_large_hint: str | None = None

    def for_arrays(self, memory_bytes: int) -> "DatasetLimits":
        """Return the limits for formats whose files are read into memory as a whole."""
        return replace(
            self,
            file_bytes=min(memory_bytes, self.packed_bytes),
            too_large_hint=ARRAYS_TOO_LARGE_HINT,
        )


DEFAULT_LIMITS = DatasetLimits()


@dataclass(frozen=True)
class ReadOptions:
    """Options for reading a dataset.

    Args:
        limits: limits on the contents.
        image_size: side length in pixels of the square to which every image is resized. If None,
            images are resized to the most common size.
        resize: resize mode for images of another size.
        max_memory_bytes: maximum size of the decoded images in memory. Larger datasets are kept on
            disk. If None, the limit is half of the memory available to this process.
        cache_dir: folder in which datasets that exceed the memory limit are kept as packed files
            for later runs. If None, they are kept in temporary files for this run only.
    """

    limits: DatasetLimits = DEFAULT_LIMITS
    image_size: int | None = None
    resize: ResizeMode = DEFAULT_RESIZE
    max_memory_bytes: int | None = None
    cache_dir: Path | None = None

    @property
    def memory_budget(self) -> int:
        """Maximum size in bytes of decoded images in memory."""
        return memory_budget() if self.max_memory_bytes is None else self.max_memory_bytes

    @property
    def array_limits(self) -> DatasetLimits:
        """Limits for formats whose files are read into memory as a whole."""
        return self.limits.for_arrays(self.memory_budget)

    def allocate(self, shapes: Mapping[str, Shape]) -> dict[str, npt.NDArray[np.uint8]]:
        """Allocate uninitialized uint8 arrays, in memory if all of them fit and on disk otherwise.

        Arrays on disk are backed by temporary files that are deleted together with the arrays.

        Raises:
            DatasetTooLarge: the arrays exceed `limits.packed_bytes` or the free disk space.
        """
        total = sum(prod(shape) for shape in shapes.values())
        if total > self.limits.packed_bytes:
            raise DatasetTooLarge(
                f"The images decode to {total >> 20} MiB, more than the limit of "
                f"{self.limits.packed_bytes >> 20} MiB."
            )
        if total <= self.memory_budget:
            return {name: np.empty(shape, np.uint8) for name, shape in shapes.items()}
        folder = self.cache_dir or Path(tempfile.gettempdir())
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
        if _DISK_COPIES * total > free:
            raise DatasetTooLarge(
                f"The images decode to {total >> 20} MiB, which does not fit in memory, and "
                f"{folder} has only {free >> 20} MiB free.",
                hint=f"Use a cache folder with {_DISK_COPIES * total >> 20} MiB of free space, "
                "or a smaller dataset.image_size.",
            )
        return {name: _allocate_on_disk(shape, folder) for name, shape in shapes.items()}


def _allocate_on_disk(shape: Shape, folder: Path) -> npt.NDArray[np.uint8]:
    # The memory map stays valid after the file is closed and deleted.
    with tempfile.TemporaryFile(dir=folder) as file:
        if not prod(shape):
            return np.empty(shape, np.uint8)
        return np.memmap(file, np.uint8, "w+", shape=shape)


DEFAULT_READ_OPTIONS = ReadOptions()
