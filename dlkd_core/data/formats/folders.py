"""Image folders such as train/<class>/<image> and val/<class>/<image>, in a folder, zip or tar."""

from pathlib import Path

from dlkd_core.data.decoding.archive import read_members
from dlkd_core.data.decoding.decoded_dataset import DecodedDataset
from dlkd_core.data.decoding.image_files import dataset_from_files
from dlkd_core.data.decoding.scan import DatasetScan
from dlkd_core.data.read_options import ReadOptions


def read(path: Path, read_options: ReadOptions, scan: DatasetScan | None = None) -> DecodedDataset:
    """Read images from folders that are named after their classes.

    The class folders, sorted by name, become the labels 0, 1, 2 and so on. Images directly under a
    split folder have no label.
    """
    return dataset_from_files(
        lambda: read_members(path, read_options.limits), read_options, scan=scan
    )
