"""train/<class>/… and val/<class>/…: which split and class a file belongs to, and whether the whole makes sense.

Images right under train/ or val/ have no label; so have those of a class that is called `UNLABELLED`.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Literal, NamedTuple, get_args

from dlkd_core.errors import LayoutInvalid

SplitName = Literal["train", "val"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)
UNLABELLED = "\0"  # no file system and no archive that we read has such a folder
_IMAGES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}


class Place(NamedTuple):
    """Where an image belongs; its label is None where it has none."""

    split: SplitName
    label: str | None


def place(name: PurePosixPath) -> Place | None:
    """The place of a file by its path; None for what lies beside the splits. One folder around the splits is allowed."""
    parts = name.parts[1:] if name.parts[0] not in SPLITS else name.parts
    if len(parts) < 2 or parts[0] not in SPLITS:
        return None
    if len(parts) == 2:
        return Place(parts[0], None) if name.suffix.lower() in _IMAGES else None
    return Place(parts[0], None if parts[1] == UNLABELLED else parts[1])


def classes_of(places: Iterable[Place]) -> tuple[str, ...]:
    """The class names in sorted order, which is the label order; empty where nothing has a label.

    Raises:
        LayoutInvalid: a split without images, a class in one of two labelled splits alone, fewer than two classes, or an
            evaluation split without labels beside a training split with them.
    """
    counts = Counter(places)
    for split in SPLITS:
        if not any(place.split == split for place in counts):
            raise LayoutInvalid(f"There is no image under {split}/<class>/.")
    found = {split: {p.label for p in counts if p.split == split and p.label is not None} for split in SPLITS}
    if found["train"]:
        _same_classes(found["train"], found["val"])
    if len(found["val"]) == 1:
        raise LayoutInvalid("There is only one class.", hint="A classifier needs at least two class folders.")
    return tuple(sorted(found["val"]))


def _same_classes(train: set[str], val: set[str]) -> None:
    for missing, split, other in ((train - val, "val", "train"), (val - train, "train", "val")):
        if missing:
            names = ", ".join(repr(name) for name in sorted(missing)[:5])
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            raise LayoutInvalid(
                f"{len(missing)} class(es) of {other} have no image in {split}: {names}{more}.",
                hint=f"Add {split}/{min(missing)}/ with at least one image, or remove {other}/{min(missing)}/.",
            )
