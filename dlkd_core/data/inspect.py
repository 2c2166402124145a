"""The check of an uploaded data set: everything is decoded once, and what a job needs is kept packed."""

from pathlib import Path
from typing import Any

from dlkd_core.data.packed import open_dataset
from dlkd_core.data.reading import DEFAULT_READING, Reading


def inspect_dataset(path: Path, directory: Path, reading: Reading = DEFAULT_READING) -> dict[str, Any]:
    """Classes, splits and image size of a folder or archive; writes `packed.safetensors` into `directory`.

    Raises:
        DatasetError: what is wrong with it, naming the file or class.
    """
    packed = open_dataset(path, reading)
    packed.save(directory / "packed.safetensors")
    height, width = packed.size
    return {
        "classes": list(packed.classes),
        "splits": {"train": len(packed.train), "val": len(packed.val)},
        "image": {"channels": 3, "height": height, "width": width},
        "notices": list(packed.notices),
    }
