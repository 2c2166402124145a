"""A report about a dataset's health, as a worker stores it."""

from typing import Any

_EMPTY: dict[str, Any] = {
    "train": 0,
    "val": 0,
    "across_splits": None,
    "label_conflicts": None,
    "row": None,
    "examples": [],
}
_BALANCE = {
    "images": 8,
    "largest_class": {"label": 0, "images": 5},
    "smallest_class": {"label": 1, "images": 3},
    "imbalance": 5 / 3,
}
_SIDES = {"min": 32, "median": 32.0, "max": 32}
DATASET_REPORT: dict[str, Any] = {
    "splits": {
        "train": _BALANCE,
        "val": {"images": 4, "largest_class": None, "smallest_class": None, "imbalance": None},
    },
    "test_duplicates": 2,
    "majority_top1": 0.5,
    "files": {
        "width": _SIDES,
        "height": _SIDES,
        "distinct_sizes": 1,
        "sizes": [{"width": 32, "height": 32, "images": 12}],
        "formats": [{"channels": 3, "bits": 8, "images": 12}],
    },
    "similar_classes": [{"classes": [0, 1], "difference": "typo"}],
    "findings": [
        {
            **_EMPTY,
            "kind": "exact_duplicates",
            "train": 1,
            "across_splits": 0,
            "label_conflicts": 0,
            "row": 0,
            "examples": [
                {"split": "train", "index": 1, "name": "train/cat/1.png", "label": 0, "group": 0},
                {"split": "train", "index": 6, "name": "train/dog/2.png", "label": 1, "group": 0},
            ],
        },
        {**_EMPTY, "kind": "black"},
    ],
    "thumbnails": {"columns": 12, "width": 32, "height": 32},
}
