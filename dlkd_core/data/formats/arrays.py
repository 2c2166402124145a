"""NumPy archives: .npz files with the images and, optionally, the labels of each split.

https://numpy.org/doc/stable/reference/generated/numpy.savez.html
"""

import io
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from dlkd_core.data.decoding.archive import read_members
from dlkd_core.data.decoding.decoded_dataset import DecodedDataset, Labels, dataset_from_arrays
from dlkd_core.data.decoding.folder_layout import SPLITS
from dlkd_core.data.read_options import ReadOptions
from dlkd_core.errors import ArchiveUnreadable, LayoutInvalid

# Array names used by common archives: MedMNIST and this project's documentation, then Keras.
_NAME_PATTERNS = (("{}_images", "{}_labels"), ("x_{}", "y_{}"))


def read(path: Path, read_options: ReadOptions) -> DecodedDataset:
    """Read a single .npz, or the .npz or .npy files in a folder or archive.

    No data is unpickled.
    """
    arrays: dict[str, Any] = {}
    for name, content in read_members(path, read_options.array_limits):
        if name.suffix.lower() == ".npz":
            arrays.update(_load_arrays(content, name))
        elif name.suffix.lower() == ".npy":
            arrays[name.stem] = _load_arrays(content, name)
    return _build_dataset(arrays, read_options)


def _load_arrays(content: bytes, name: PurePosixPath) -> Any:
    """Return a dictionary of the arrays in an .npz file, or the single array in an .npy file."""
    try:
        file = np.load(io.BytesIO(content), allow_pickle=False)
        if isinstance(file, np.lib.npyio.NpzFile):
            return {key: file[key] for key in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ArchiveUnreadable(
            f"{name} cannot be read: {error}",
            hint="Save the arrays with numpy.savez. Object arrays are not supported.",
        ) from error
    return file


def _build_dataset(arrays: dict[str, Any], read_options: ReadOptions) -> DecodedDataset:
    pairs = {split: _find_split(arrays, split) for split in SPLITS}
    if pairs["train"] is None:
        raise LayoutInvalid(
            f"There are no training images. Arrays found: {', '.join(sorted(arrays)) or 'none'}.",
            hint="Name the arrays train_images, train_labels, val_images and val_labels.",
        )
    present = {split: pair for split, pair in pairs.items() if pair is not None}
    images: dict[str, Any] = {split: images for split, (images, _) in present.items()}
    labels: dict[str, Labels] = {
        split: np.asarray(labels).reshape(-1).astype(np.int64)
        for split, (_, labels) in present.items()
        if labels is not None
    }
    classes = [str(label) for label in arrays["classes"]] if "classes" in arrays else None
    return dataset_from_arrays(images, labels, classes, read_options)


def _find_split(arrays: dict[str, Any], split: str) -> tuple[Any, Any | None] | None:
    """Return the images and labels of a split, or None if the split has no images.

    The labels are None if the split is unlabeled.
    """
    for images_pattern, labels_pattern in _NAME_PATTERNS:
        images = images_pattern.format(split)
        if images in arrays:
            return arrays[images], arrays.get(labels_pattern.format(split))
    return None
