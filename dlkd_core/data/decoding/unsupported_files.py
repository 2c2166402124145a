"""Files of datasets that are recognized but not read, and the way that works instead."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import NamedTuple

from dlkd_core.errors import LayoutInvalid


class _UnsupportedFile(NamedTuple):
    pattern: str  # of the path in lower case
    description: str
    alternative: str


_UNSUPPORTED = (
    _UnsupportedFile(
        r"(.*/)?(data_batch_\d+|test_batch|batches\.meta|cifar-100-python/(train|test|meta))"
        r"|.*\.(pkl|pickle)",
        "a Python pickle file, as in the Python version of CIFAR. Pickle files can run code, so"
        " they are never read",
        "For CIFAR, upload the binary version (cifar-10-binary.tar.gz). Save other data with"
        " numpy.savez, as train_images, train_labels, val_images and val_labels.",
    ),
    _UnsupportedFile(
        r".*\.(pt|pth|ckpt)",
        "a file of torch.save, which is not read as a dataset",
        "Save the images with numpy.savez, as train_images, train_labels, val_images and"
        " val_labels.",
    ),
    _UnsupportedFile(
        r".*\.mdb",
        "an LMDB database, as in LSUN",
        "Export the images as files: train/<class>/<image> and val/<class>/<image>.",
    ),
    _UnsupportedFile(
        r".*\.tfrecords?(-\d+-of-\d+)?",
        "a TFRecord file",
        "Export the images as files (train/<class>/<image> and val/<class>/<image>) or as"
        " WebDataset shards.",
    ),
    _UnsupportedFile(
        r".*\.(h5|hdf5|mat)",
        "an HDF5 or MATLAB file",
        "Save the arrays with numpy.savez, as train_images, train_labels, val_images and"
        " val_labels.",
    ),
    _UnsupportedFile(
        r".*\.(rec|beton)",
        "a file of packed images for another data loader (RecordIO or FFCV)",
        "Export the images as files (train/<class>/<image> and val/<class>/<image>) or as"
        " WebDataset shards.",
    ),
    _UnsupportedFile(
        r".*\.(mp4|avi|mov|mkv|webm)",
        "a video",
        "Extract frames as images and store them as train/<class>/<image> and val/<class>/<image>.",
    ),
    _UnsupportedFile(
        r".*\.(zip|tar|tgz|tar\.gz|7z|rar)",
        "an archive within the archive",
        "Unpack it, and upload one archive with the images in it.",
    ),
    _UnsupportedFile(
        r".*\.(csv|tsv)",
        "a table without image files",
        "Pixel values in tables are not read. Save them with numpy.savez, as train_images (N, H, W)"
        " uint8 and train_labels, and the same for val.",
    ),
)
_ANY_UNSUPPORTED = re.compile("|".join(f"(?:{kind.pattern})" for kind in _UNSUPPORTED))


def is_unsupported(path: PurePosixPath) -> bool:
    """Return whether the file is one of those that are recognized but not read."""
    return _ANY_UNSUPPORTED.fullmatch(str(path).lower()) is not None


def reject_unsupported(paths: Iterable[PurePosixPath]) -> None:
    """Reject a dataset without images that contains a file that is recognized but not read.

    Raises:
        LayoutInvalid: one of the files is recognized. The hint names the way that works.
    """
    for path in sorted(paths):
        if kind := _find(path):
            raise LayoutInvalid(f"{path} is {kind.description}.", hint=kind.alternative)


def _find(path: PurePosixPath) -> _UnsupportedFile | None:
    name = str(path).lower()
    return next((kind for kind in _UNSUPPORTED if re.fullmatch(kind.pattern, name)), None)
