"""NumPy archives: .npz with images, and labels where there are some, of each split (https://numpy.org/doc/stable/reference/generated/numpy.savez.html)."""

import io
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from dlkd_core.data.decoded import Decoded, from_arrays
from dlkd_core.data.reading import Reading
from dlkd_core.data.source import members
from dlkd_core.errors import ArchiveUnreadable, LayoutInvalid

# How the common archives call them: MedMNIST and our own, Keras; the first val-like split that is there is val.
_SPLITS = {"train": ("train",), "val": ("val", "test")}
_FORMS = (("{}_images", "{}_labels"), ("x_{}", "y_{}"))


def read(path: Path, reading: Reading) -> Decoded:
    """A .npz, by itself or within a folder or archive, or the .npy files that one is made of. Nothing is unpickled."""
    found: dict[str, Any] = {}
    for name, content in members(path, reading.of_arrays):
        if name.suffix.lower() == ".npz":
            found.update(_loaded(content, name))
        elif name.suffix.lower() == ".npy":
            found[name.stem] = _loaded(content, name)
    return _decoded(found, reading)


def _loaded(content: bytes, name: PurePosixPath) -> Any:
    """The arrays of a .npz by name, or the array of a .npy."""
    try:
        file = np.load(io.BytesIO(content), allow_pickle=False)
        return {key: file[key] for key in file.files} if isinstance(file, np.lib.npyio.NpzFile) else file
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        hint = "Save it by numpy.savez, without object arrays."
        raise ArchiveUnreadable(f"{name} cannot be read: {error}", hint=hint) from error


def _decoded(arrays: dict[str, Any], reading: Reading) -> Decoded:
    found = {split: _split(arrays, words) for split, words in _SPLITS.items()}
    if found["train"] is None:
        raise LayoutInvalid(
            f"The arrays are {', '.join(sorted(arrays)) or 'none'}.",
            hint="Name the arrays train_images, train_labels, val_images and val_labels.",
        )
    present = {split: pair for split, pair in found.items() if pair is not None}
    images = {split: pair[0] for split, pair in present.items()}
    labels = {split: np.asarray(pair[1]).reshape(-1).astype(np.int64) for split, pair in present.items() if pair[1] is not None}
    classes = [str(label) for label in arrays["classes"]] if "classes" in arrays else None
    return from_arrays(images, labels, classes, reading)


def _split(arrays: dict[str, Any], words: tuple[str, ...]) -> tuple[Any, Any | None] | None:
    """Images and labels, None for labels that are not there."""
    for word in words:
        for images, labels in _FORMS:
            if images.format(word) in arrays:
                return arrays[images.format(word)], arrays.get(labels.format(word))
    return None
