"""NumPy archives: .npz files with the images and, optionally, the labels of each split.

https://numpy.org/doc/stable/reference/generated/numpy.savez.html
"""

import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path, PurePosixPath
from tokenize import TokenError
from typing import IO, Any

import numpy as np

from dlkd_core.data.decoding.archive import max_unpacked_bytes, read_members
from dlkd_core.data.decoding.decoded_dataset import DecodedDataset, Labels, dataset_from_arrays
from dlkd_core.data.decoding.folder_layout import SPLITS, SplitName
from dlkd_core.data.read_options import DatasetLimits, ReadOptions
from dlkd_core.errors import ArchiveRefused, ArchiveUnreadable, LayoutInvalid
from dlkd_core.memory_limits import raise_if_out_of_memory
from dlkd_core.zip_members import ZIP_ERRORS

# Array names used by common archives: MedMNIST and this project's documentation, then Keras
_NAME_PATTERNS = (("{}_images", "{}_labels"), ("x_{}", "y_{}"))
_HEADER_READERS: dict[Any, Callable[..., Any]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_MAX_DIMENSIONS = 8
_CHUNK_BYTES = 1 << 20
_MAX_LABEL = 2.0**31
# What NumPy and its parser of headers raise for damaged files
_NUMPY_ERRORS = (*ZIP_ERRORS, MemoryError, SyntaxError, TypeError, TokenError)


def read(path: Path, read_options: ReadOptions) -> DecodedDataset:
    """Read a single .npz, or the .npz or .npy files in a folder or archive.

    No data is unpickled.
    """
    limits = read_options.array_limits
    arrays: dict[str, Any] = {}
    for name, content in read_members(path, limits):
        if name.suffix.lower() == ".npz":
            found = _read_npz(content, name, limits)
        elif name.suffix.lower() == ".npy":
            found = {name.stem: _read_array(io.BytesIO(content), len(content), name)}
        else:
            continue
        repeated = sorted(arrays.keys() & found)
        if repeated:
            raise LayoutInvalid(
                f"{name} contains the array {repeated[0]}, which another file contains, too.",
                hint="Store each array once.",
            )
        arrays |= found
    return _build_dataset(arrays, read_options)


def _read_npz(content: bytes, name: PurePosixPath, limits: DatasetLimits) -> dict[str, Any]:
    """Return the arrays in an .npz file, which is a zip of .npy files, by name."""
    arrays = {}
    with _numpy_errors(name), zipfile.ZipFile(io.BytesIO(content)) as archive:
        for info in archive.infolist():
            if info.file_size > max_unpacked_bytes(info.compress_size, limits):
                raise ArchiveRefused(
                    f"{info.filename!r} in {name} unpacks from {info.compress_size} bytes to"
                    f" {info.file_size >> 20} MiB: it looks like a decompression bomb."
                )
            if info.filename.endswith(".npy"):
                with archive.open(info) as file:
                    array = _read_array(file, info.file_size, name / info.filename)
                arrays[info.filename.removesuffix(".npy")] = array
    return arrays


def _read_array(file: IO[bytes], size: int, name: PurePosixPath) -> Any:
    """Return the array in an .npy file of `size` bytes.

    Its header is checked first, because NumPy allocates as much memory as the header claims.
    """
    with _numpy_errors(name):
        read_header = _HEADER_READERS.get(np.lib.format.read_magic(file))
        if read_header is None:
            raise ValueError("the version of the format is not supported")
        shape, is_fortran_order, dtype = read_header(file)
        claimed, present = prod(shape) * dtype.itemsize, size - file.tell()
        if dtype.hasobject or not dtype.itemsize:
            kind = "Object arrays" if dtype.hasobject else f"Arrays of the type {dtype}"
            raise ValueError(f"{kind} are not supported")
        if claimed != present or len(shape) > _MAX_DIMENSIONS:
            raise ValueError(
                f"the header describes {claimed} bytes in {len(shape)} dimensions, but {present}"
                " bytes follow"
            )
        values = np.empty(present, np.uint8)
        for start in range(0, present, _CHUNK_BYTES):
            chunk = np.frombuffer(file.read(_CHUNK_BYTES), np.uint8)
            values[start : start + _CHUNK_BYTES] = chunk  # fails if the file is shorter
        return values.view(dtype).reshape(shape, order="F" if is_fortran_order else "C")


@contextmanager
def _numpy_errors(name: PurePosixPath) -> Iterator[None]:
    try:
        yield
    except _NUMPY_ERRORS as error:
        raise_if_out_of_memory(error, str(name))
        raise ArchiveUnreadable(
            f"{name} cannot be read: {error}",
            hint="Save the arrays with numpy.savez. Object arrays are not supported.",
        ) from error


def _build_dataset(arrays: dict[str, Any], read_options: ReadOptions) -> DecodedDataset:
    pairs = {split: _find_split(arrays, split) for split in SPLITS}
    if pairs["train"] is None:
        raise LayoutInvalid(
            f"There are no training images. Arrays found: {', '.join(sorted(arrays)) or 'none'}.",
            hint="Name the arrays train_images, train_labels, val_images and val_labels.",
        )
    present = {split: pair for split, pair in pairs.items() if pair is not None}
    for split, (images, _) in present.items():
        if not images.ndim:
            raise LayoutInvalid(f"The images of the {split} split are a single number.")
    labels: dict[str, Labels] = {
        split: _to_labels(labels, split)
        for split, (_, labels) in present.items()
        if labels is not None
    }
    return dataset_from_arrays(
        {split: images for split, (images, _) in present.items()},
        labels,
        _class_names(arrays.get("classes")),
        read_options,
    )


def _to_labels(values: Any, split: str) -> Labels:
    """Return labels as integers.

    Raises:
        LayoutInvalid: a label is not an integer, or its type is not a number.
    """
    labels = np.asarray(values).reshape(-1)
    is_valid = labels.dtype.kind in "iuf" or labels.dtype == np.bool_
    if is_valid and labels.size:
        with np.errstate(invalid="ignore"):
            is_valid = bool(
                (np.abs(labels.astype(np.float64)) < _MAX_LABEL).all()
                and (labels == np.trunc(labels)).all()
            )
    if not is_valid:
        raise LayoutInvalid(
            f"The labels of the {split} split, of the type {labels.dtype}, are not class indices.",
            hint="Number the classes 0, 1, 2 and so on, and save their names as the array classes.",
        )
    return labels.astype(np.int64)


def _class_names(values: Any) -> list[str] | None:
    if values is None:
        return None
    if values.ndim != 1:
        raise LayoutInvalid(f"The array classes has {values.ndim} dimensions instead of one.")
    with _numpy_errors(PurePosixPath("classes")):  # its text may not be valid Unicode
        return [str(name) for name in values]


def _find_split(arrays: dict[str, Any], split: SplitName) -> tuple[Any, Any | None] | None:
    """Return the images and labels of a split, or None if the split has no images.

    The labels are None if the split is unlabeled.
    """
    for images_pattern, labels_pattern in _NAME_PATTERNS:
        images = images_pattern.format(split)
        if images in arrays:
            return arrays[images], arrays.get(labels_pattern.format(split))
    return None
