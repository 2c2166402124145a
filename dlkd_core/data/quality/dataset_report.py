"""The report about a dataset's health: balance, files, class names and suspicious images."""

from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dlkd_core.data.dataset import DatasetSplit, ImageDataset
from dlkd_core.data.decoding.decoded_dataset import DecodedDataset
from dlkd_core.data.decoding.image import ImageFormat
from dlkd_core.data.quality.class_names import find_similar_names
from dlkd_core.data.quality.example_sheet import write_example_sheet
from dlkd_core.data.quality.findings import MAX_EXAMPLES, Finding, find_issues
from dlkd_core.data.quality.image_measures import ImageMeasures

_MAX_SIZES = 10
_MAX_SIMILAR_CLASSES = 100


def build_dataset_report(
    decoded: DecodedDataset, dataset: ImageDataset, measures: ImageMeasures, folder: Path
) -> dict[str, Any]:
    """Return the report as plain data, and write the thumbnails of its examples into `folder`.

    `decoded` and `dataset` are the same dataset, before and after the images are packed.
    """
    findings = find_issues(decoded, measures)
    tile = write_example_sheet(dataset, findings, folder)
    num_classes = len(dataset.classes)
    similar = find_similar_names(dataset.classes)
    return {
        "splits": {
            name: _describe_balance(split, num_classes) for name, split in dataset.splits.items()
        },
        "test_duplicates": measures.num_test_duplicates,
        "majority_top1": _majority_top1(dataset),
        "files": _describe_files(
            [image.format for split in (decoded.train, decoded.val) for image in split.sources]
        ),
        "similar_classes": [
            {"classes": list(pair), "difference": str(difference)}
            for pair, difference in islice(similar.items(), _MAX_SIMILAR_CLASSES)
        ],
        "findings": _describe_findings(findings, decoded, measures),
        "thumbnails": tile and {"columns": MAX_EXAMPLES, "height": tile[0], "width": tile[1]},
    }


def _count_classes(split: DatasetSplit, num_classes: int) -> npt.NDArray[np.int64]:
    labels = split.labels[split.labels >= 0]
    return labels.bincount(minlength=num_classes).numpy()


def _describe_balance(split: DatasetSplit, num_classes: int) -> dict[str, Any]:
    """Return the largest and the smallest class, and the ratio of their numbers of images."""
    described: dict[str, Any] = {
        "images": len(split),
        "largest_class": None,
        "smallest_class": None,
        "imbalance": None,
    }
    if not num_classes or not split.is_labeled:
        return described
    counts = _count_classes(split, num_classes)
    largest, smallest = int(counts.argmax()), int(counts.argmin())
    described["largest_class"] = {"label": largest, "images": int(counts[largest])}
    described["smallest_class"] = {"label": smallest, "images": int(counts[smallest])}
    if counts[smallest]:
        described["imbalance"] = float(counts[largest] / counts[smallest])
    return described


def _majority_top1(dataset: ImageDataset) -> float | None:
    """Return the accuracy on the val split of always answering with the most common class.

    The class is the most common one in the training split, or in the val split if the training
    images have no labels.
    """
    num_classes = len(dataset.classes)
    if not num_classes or not dataset.val.is_labeled or not len(dataset.val):
        return None
    val = _count_classes(dataset.val, num_classes)
    counts = _count_classes(dataset.train, num_classes) if dataset.train.is_labeled else val
    return float(val[counts.argmax()] / val.sum())


def _describe_files(formats: Sequence[ImageFormat]) -> dict[str, Any]:
    sizes = Counter((file.width, file.height) for file in formats)
    depths = Counter((file.channels, file.bits) for file in formats)
    return {
        "width": _describe_sides([file.width for file in formats]),
        "height": _describe_sides([file.height for file in formats]),
        "distinct_sizes": len(sizes),
        "sizes": [
            {"width": width, "height": height, "images": count}
            for (width, height), count in sizes.most_common(_MAX_SIZES)
        ],
        "formats": [
            {"channels": channels, "bits": bits, "images": count}
            for (channels, bits), count in depths.most_common()
        ],
    }


def _describe_sides(sides: Sequence[int]) -> dict[str, float]:
    return {
        "min": min(sides),
        "median": float(np.median(sides)),
        "max": max(sides),
    }


def _describe_findings(
    findings: Sequence[Finding], decoded: DecodedDataset, measures: ImageMeasures
) -> list[dict[str, Any]]:
    described = []
    row = 0
    for finding in findings:
        duplicates = finding.duplicates
        examples = [
            {**_describe_image(index, decoded, measures), "group": group}
            for group, indices in enumerate(finding.groups)
            for index in indices.tolist()
        ]
        described.append(
            {
                "kind": str(finding.kind),
                "train": finding.train,
                "val": finding.val,
                "across_splits": duplicates and duplicates.across_splits,
                "label_conflicts": duplicates and duplicates.label_conflicts,
                "row": row if examples else None,
                "examples": examples,
            }
        )
        row += bool(examples)
    return described


def _describe_image(index: int, decoded: DecodedDataset, measures: ImageMeasures) -> dict[str, Any]:
    in_train = index < measures.num_train
    split = decoded.train if in_train else decoded.val
    place = index if in_train else index - measures.num_train
    label = int(measures.labels[index])
    return {
        "split": "train" if in_train else "val",
        "index": place,
        "name": split.sources[place].name,
        "label": label if label >= 0 else None,
    }
