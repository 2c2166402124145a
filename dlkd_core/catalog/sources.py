"""The forms in which images come: each is known by the names of its files. The first that fits reads them."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from dlkd_core.frozen import Frozen


class Source(Frozen):
    """A form of data set: what gives it away, and where its code is (``module:read``, see `dlkd_core.data.packing`)."""

    name: str
    summary: str
    pattern: str  # of a whole file name, without its folders
    target: str

    def takes(self, names: Iterable[PurePosixPath]) -> bool:
        """Whether one of the files is of this form."""
        known = re.compile(self.pattern, re.IGNORECASE)
        return any(known.fullmatch(name.name) for name in names if name.parts)


FOLDERS = "folders"  # what anything is that is nothing else

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        Source(
            name="arrays",
            summary="NumPy .npz: train_images and train_labels (or x_train and y_train), and val or test alike; labels may lack",
            pattern=r".*\.npz|(train_images|x_train)\.npy",
            target="dlkd_core.data.arrays:read",
        ),
        Source(
            name="idx",
            summary="IDX files as MNIST has them: train-images-idx3-ubyte, t10k-labels-idx1-ubyte; plain or .gz",
            pattern=r"train-images[-.]idx[34]-ubyte(\.gz)?",
            target="dlkd_core.data.idx:read",
        ),
        Source(
            name="cifar_binary",
            summary="The binary version of CIFAR-10 (data_batch_1.bin, ...) and CIFAR-100 (train.bin, test.bin)",
            pattern=r"data_batch_\d+\.bin|train\.bin",
            target="dlkd_core.data.cifar_binary:read",
        ),
        Source(
            name="parquet",
            summary="Parquet as on the Hugging Face hub: a column of images, one of labels or none; the split in the file's name",
            pattern=r".*\.parquet",
            target="dlkd_core.data.parquet:read",
        ),
        Source(
            name="webdataset",
            summary="WebDataset: samples of one key with .jpg or the like, and .cls or none, in shards or folders train and val",
            pattern=r".+\.cls|.*(train|val).*\.tar",
            target="dlkd_core.data.webdataset:read",
        ),
        Source(
            name=FOLDERS,
            summary="train/<class>/<image> and val/<class>/<image>; sorted class folders are the labels, if there are any",
            pattern=r".*",
            target="dlkd_core.data.folders:read",
        ),
    )
}


def find_source(names: Iterable[PurePosixPath]) -> Source:
    """The form of a data set by the names of its files."""
    known = list(names)
    return next(source for source in SOURCES.values() if source.takes(known) or source.name == FOLDERS)
