"""Image folders: train/<class>/<image> and val/<class>/<image>, in a folder, zip or tar."""

from pathlib import Path

from dlkd_core.data.decoding.archive import read_members
from dlkd_core.data.decoding.decoded_dataset import DecodedDataset
from dlkd_core.data.decoding.image_files import dataset_from_files
from dlkd_core.data.decoding.scan import DatasetScan
from dlkd_core.data.read_options import ReadOptions


def read(path: Path, read_options: ReadOptions, scan: DatasetScan | None = None) -> DecodedDataset:
    """Read image folders.

    Labels follow the sorted class folders. Images directly under a split have no label.
    """
    return dataset_from_files(
        lambda: read_members(path, read_options.limits), read_options, scan=scan
    )
