"""Dataset formats, recognized by the names of their files."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from dlkd_core.common import FrozenModel


class DatasetFormat(FrozenModel):
    """A dataset format.

    `target` names its reader (``module:read``; see `dlkd_core.data.formats.reader`).
    """

    name: str
    summary: str
    pattern: str  # matches a file name without its folders; one such file identifies the format
    target: str

    def matches(self, names: Iterable[PurePosixPath]) -> bool:
        """Return whether one of the file names identifies this format."""
        pattern = re.compile(self.pattern, re.IGNORECASE)
        return any(pattern.fullmatch(name.name) for name in names if name.parts)


FOLDERS = "folders"  # the format of datasets that match no other format

# The first format that matches is used.
DATASET_FORMATS: dict[str, DatasetFormat] = {
    dataset_format.name: dataset_format
    for dataset_format in (
        DatasetFormat(
            name="arrays",
            summary="NumPy .npz with train_images and train_labels (or x_train and y_train), and"
            " the same for val or test. Labels are optional.",
            pattern=r".*\.npz|(train_images|x_train)\.npy",
            target="dlkd_core.data.formats.arrays:read",
        ),
        DatasetFormat(
            name="idx",
            summary="IDX files named as in MNIST: train-images-idx3-ubyte, t10k-labels-idx1-ubyte,"
            " plain or .gz",
            pattern=r"train-images[-.]idx[34]-ubyte(\.gz)?",
            target="dlkd_core.data.formats.idx:read",
        ),
        DatasetFormat(
            name="cifar_binary",
            summary="The binary version of CIFAR-10 (data_batch_1.bin, ...) and CIFAR-100"
            " (train.bin, test.bin)",
            pattern=r"data_batch_\d+\.bin|train\.bin",
            target="dlkd_core.data.formats.cifar_binary:read",
        ),
        DatasetFormat(
            name="parquet",
            summary="Parquet as on the Hugging Face Hub, or Arrow as save_to_disk of the datasets"
            " library writes it: an image column and optionally a label column of indices or words,"
            " with the split in the name of the file or folder",
            pattern=r".*\.(parquet|arrow)",
            target="dlkd_core.data.formats.parquet:read",
        ),
        DatasetFormat(
            name="webdataset",
            summary="WebDataset: each sample is an image (such as .jpg) and an optional label with"
            " the same key in a .cls, .json or .txt file, in shards or folders named train and val",
            pattern=r".+\.cls|(.*[^a-z])?(train|val|valid|validation|dev|eval|test|trainset|valset)"
            r"([^a-z].*)?\.tar",
            target="dlkd_core.data.formats.webdataset:read",
        ),
        DatasetFormat(
            name=FOLDERS,
            summary="train/<class>/<image> and val/<class>/<image>, or class folders without"
            " splits. Class folders become the labels in alphabetical order, or in numeric order if"
            " all of them are numbers. A table such as"
            " labels.csv or metadata.jsonl can take the place of class folders.",
            pattern=r".*",
            target="dlkd_core.data.formats.folders:read",
        ),
    )
}


def detect_dataset_format(names: Iterable[PurePosixPath]) -> DatasetFormat:
    """Return the format of a dataset with these file names."""
    file_names = list(names)
    return next(
        dataset_format
        for dataset_format in DATASET_FORMATS.values()
        if dataset_format.matches(file_names) or dataset_format.name == FOLDERS
    )
