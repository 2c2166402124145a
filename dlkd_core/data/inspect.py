"""The check of an uploaded data set: everything is decoded once, and what a job needs is kept packed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlkd_core.data import contact_sheet
from dlkd_core.data.packed import Split, open_dataset
from dlkd_core.data.reading import DEFAULT_READING, Reading


def inspect_dataset(path: Path, directory: Path, reading: Reading = DEFAULT_READING) -> dict[str, Any]:
    """What is in a folder or archive; writes `packed.safetensors` and a contact sheet into `directory`.

    The report has the classes, the images of each split, of each split and class (zeros where the split has no labels), the
    image size, the layout of the contact sheet and notices.

    Raises:
        DatasetError: what is wrong with it, naming the file or class.
    """
    packed = open_dataset(path, reading)
    packed.save(directory / "packed.safetensors")
    height, width = packed.size
    return {
        "classes": list(packed.classes),
        "splits": {"train": len(packed.train), "val": len(packed.val)},
        "class_counts": {"train": _counts(packed.train, packed.classes), "val": _counts(packed.val, packed.classes)},
        "samples": contact_sheet.write(packed, directory),
        "image": {"channels": 3, "height": height, "width": width},
        "notices": list(packed.notices),
    }


def _counts(split: Split, classes: Sequence[str]) -> list[int]:
    labels = split.labels[split.labels >= 0]
    return labels.bincount(minlength=len(classes)).tolist()
