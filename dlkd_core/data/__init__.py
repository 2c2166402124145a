"""Data sets: a folder or an archive is checked, decoded once into uint8 tensors, and augmented in batches on the device."""

from dlkd_core.data.packed import Packed, Split, open_dataset
from dlkd_core.data.reading import Reading

__all__ = ["Packed", "Reading", "Split", "open_dataset"]
