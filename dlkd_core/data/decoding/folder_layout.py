"""The layout train/<class>/… and val/<class>/…: the split and class of each file.

Images directly under train/ or val/ have no label. Neither do images of a class folder named
`UNLABELED_FOLDER`.
"""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Literal, NamedTuple, get_args

from dlkd_core.errors import LayoutInvalid

SplitName = Literal["train", "val"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)
UNLABELED_FOLDER = "\0"  # cannot be the name of a folder in a file system or archive
INDEX_DIGITS = 8  # digits of the folder names that are class indices
_MAX_LISTED = 5  # classes named in an error
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
    """The split and label of an image. The label is None if the image has none."""

    split: SplitName
    label: str | None


def parse_path(path: PurePosixPath) -> Placement | None:
    """Return the placement of a file by its path, or None if it is outside the layout.

    One folder around the splits is allowed.
    """
    parts = path.parts[1:] if path.parts[0] not in SPLITS else path.parts
    if len(parts) < 2 or parts[0] not in SPLITS:
        return None
    if len(parts) == 2:
        return Placement(parts[0], None) if path.suffix.lower() in _IMAGE_SUFFIXES else None
    return Placement(parts[0], None if parts[1] == UNLABELED_FOLDER else parts[1])


def split_by_name(name: str) -> SplitName:
    """Return "val" for a file or folder whose name contains val or test, and "train" otherwise."""
    return "val" if _VAL_NAME.search(name) else "train"


def find_class_names(placements: Iterable[Placement]) -> tuple[str, ...]:
    """Return the sorted class names, whose order is the label order. Empty without labels.

    Raises:
        LayoutInvalid: a split has no images, a class occurs in only one of two labeled splits,
            there are fewer than two classes, or only the training split has labels.
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
