"""Checks an uploaded dataset: decodes it once and keeps the result as a packed file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlkd_core.data.contact_sheet import write_contact_sheet
from dlkd_core.data.dataset import DatasetSplit, build_dataset
from dlkd_core.data.formats.reader import decode_dataset
from dlkd_core.data.quality.dataset_report import build_dataset_report
from dlkd_core.data.quality.image_measures import measure_images
from dlkd_core.data.read_options import DEFAULT_READ_OPTIONS, ReadOptions

PACKED_FILE = "packed.safetensors"


def inspect_dataset(
    path: Path, directory: Path, read_options: ReadOptions = DEFAULT_READ_OPTIONS
) -> dict[str, Any]:
    """Check a folder or archive and return a report.

    Writes `packed.safetensors`, a contact sheet and, if the checks found anything, thumbnails of
    the findings into `directory`. The report contains the classes, the total number of images in
    each split, the number per class (0 if the split is unlabeled), the image size, the layout of
    the contact sheet, the notices and, as `report`, the dataset's health.

    Raises:
        DatasetError: the dataset is invalid. The message names the file or class.
    """
    decoded = decode_dataset(path, read_options)
    measures = measure_images(decoded)
    dataset = build_dataset(decoded, measures, read_options)
    dataset.save(directory / PACKED_FILE)
    height, width = dataset.image_size
    return {
        "classes": list(dataset.classes),
        "splits": {name: len(split) for name, split in dataset.splits.items()},
        "class_counts": {
            name: _class_counts(split, dataset.classes) for name, split in dataset.splits.items()
        },
        "samples": write_contact_sheet(dataset, directory),
        "image": {"channels": dataset.channels, "height": height, "width": width},
        "notices": list(dataset.notices),
        "report": build_dataset_report(decoded, dataset, measures, directory),
    }


def _class_counts(split: DatasetSplit, classes: Sequence[str]) -> list[int]:
    labels = split.labels[split.labels >= 0]
    return labels.bincount(minlength=len(classes)).tolist()
