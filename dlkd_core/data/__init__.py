"""Checks a dataset in a folder or archive, decodes it once to uint8 and augments its batches."""

from dlkd_core.data.dataset import DatasetSplit, ImageDataset, open_dataset
from dlkd_core.data.read_options import ReadOptions

__all__ = ["DatasetSplit", "ImageDataset", "ReadOptions", "open_dataset"]
