"""train/<class>/… and val/<class>/…: which split and class a file belongs to, and whether the whole makes sense."""

from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Literal, NamedTuple, get_args

from dlkd_core.errors import LayoutInvalid

SplitName = Literal["train", "val"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)


class Place(NamedTuple):
    """Where an image belongs."""

    split: SplitName
    label: str


def place(name: PurePosixPath) -> Place | None:
    """The place of a file by its path; None for what lies beside the splits. One folder around the splits is allowed."""
    parts = name.parts[1:] if name.parts[0] not in SPLITS else name.parts
    if len(parts) < 3 or parts[0] not in SPLITS:
        return None
    return Place(parts[0], parts[1])


def classes_of(places: Iterable[Place]) -> tuple[str, ...]:
    """The class names in sorted order, which is the label order.

    Raises:
        LayoutInvalid: a split without images, a class in one split alone, or fewer than two classes.
    """
    counts = Counter(places)
    found = {split: {p.label for p in counts if p.split == split} for split in SPLITS}
    for split in SPLITS:
        if not found[split]:
            raise LayoutInvalid(f"There is no image under {split}/<class>/.")
    _same_classes(found["train"], found["val"])
    if len(found["train"]) < 2:
        raise LayoutInvalid("There is only one class.", hint="A classifier needs at least two class folders.")
    return tuple(sorted(found["train"]))


def _same_classes(train: set[str], val: set[str]) -> None:
    for missing, split, other in ((train - val, "val", "train"), (val - train, "train", "val")):
        if missing:
            names = ", ".join(repr(name) for name in sorted(missing)[:5])
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            raise LayoutInvalid(
                f"{len(missing)} class(es) of {other} have no image in {split}: {names}{more}.",
                hint=f"Add {split}/{min(missing)}/ with at least one image, or remove {other}/{min(missing)}/.",
            )
