"""The folder layout train/<class>/… and val/<class>/…, which gives each file its split and class.

Images directly under train/ or val/ have no label. The constant `UNLABELED_FOLDER` is the name of a
class folder whose images have no label either.
"""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Literal, NamedTuple, get_args

from dlkd_core.errors import LayoutInvalid

SplitName = Literal["train", "val"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)
UNLABELED_FOLDER = "\0"  # no folder in a file system or archive can have this name
INDEX_DIGITS = 8  # number of digits in a folder name that is a class index
_MAX_LISTED = 5  # maximum number of classes that an error names
_VAL_NAME = re.compile(r"val|test", re.IGNORECASE)
_IMAGE_SUFFIXES = {
    ".png",
    ".jpg",
    ".jpeg",
    ".webp",
    ".bmp",
    ".gif",
    ".tif",
    ".tiff",
    ".ppm",
    ".pgm",
}


class Placement(NamedTuple):
    """An image's split and its label, which is None for an unlabeled image."""

    split: SplitName
    label: str | None


def parse_path(path: PurePosixPath) -> Placement | None:
    """Return the placement that a file's path implies, or None if the path is outside the layout.

    The split folders may be inside one enclosing folder.
    """
    parts = path.parts[1:] if path.parts[0] not in SPLITS else path.parts
    if len(parts) < 2 or parts[0] not in SPLITS:
        return None
    if len(parts) == 2:
        return Placement(parts[0], None) if path.suffix.lower() in _IMAGE_SUFFIXES else None
    return Placement(parts[0], None if parts[1] == UNLABELED_FOLDER else parts[1])


def split_by_name(name: str) -> SplitName:
    """Return "val" if the name of a file or folder contains val or test, and "train" otherwise."""
    return "val" if _VAL_NAME.search(name) else "train"


def find_class_names(placements: Iterable[Placement]) -> tuple[str, ...]:
    """Return the class names in label order, which is alphabetical.

    The tuple is empty if no image has a label.

    Raises:
        LayoutInvalid: a split has no images, only one class exists, only the training split has
            labels, or both splits have labels but a class is missing from one of them.
    """
    distinct = set(placements)
    for split in SPLITS:
        if not any(placement.split == split for placement in distinct):
            raise LayoutInvalid(f"There is no image under {split}/<class>/.")
    labels = {
        split: {p.label for p in distinct if p.split == split and p.label is not None}
        for split in SPLITS
    }
    if labels["train"]:
        _check_same_classes(labels["train"], labels["val"])
    if len(labels["val"]) == 1:
        raise LayoutInvalid(
            "There is only one class.", hint="A classifier needs at least two class folders."
        )
    return tuple(sorted(labels["val"]))


def _check_same_classes(train: set[str], val: set[str]) -> None:
    for missing, split, other in ((train - val, "val", "train"), (val - train, "train", "val")):
        if missing:
            names = ", ".join(repr(name) for name in sorted(missing)[:_MAX_LISTED])
            more = f" and {len(missing) - _MAX_LISTED} more" if len(missing) > _MAX_LISTED else ""
            first = min(missing)
            raise LayoutInvalid(
                f"{len(missing)} class(es) of {other} have no image in {split}: {names}{more}.",
                hint=f"Add {split}/{first}/ with at least one image, or remove {other}/{first}/.",
            )
