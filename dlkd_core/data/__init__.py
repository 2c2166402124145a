"""Data sets: check a folder or archive, decode it once to uint8 tensors, and augment batches."""

from dlkd_core.data.dataset import DatasetSplit, ImageDataset, open_dataset
from dlkd_core.data.read_options import ReadOptions

__all__ = ["DatasetSplit", "ImageDataset", "ReadOptions", "open_dataset"]
