"""A data set as arrays, whatever form it came in; and the split that is made where there is none."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dlkd_core.data.image import resized
from dlkd_core.data.limits import ARRAYS_ADVICE
from dlkd_core.data.reading import Reading
from dlkd_core.errors import DatasetTooLarge, LayoutInvalid

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int64]
HELD_OUT = 0.1
NO_LABEL = -1


@dataclass(frozen=True)
class Part:
    """A split: `pixels` (M, 3, H, W) uint8, of which `rows` (N,) are its images (None: all); labels (N,) int64.

    Labels are indices of the classes, or -1 throughout where the images have none.
    """

    pixels: Pixels
    labels: Labels
    rows: Rows | None = None


@dataclass(frozen=True)
class Decoded:
    """Both splits; `classes` in label order, none where no image has a label."""

    train: Part
    val: Part
    classes: tuple[str, ...]
    notices: tuple[str, ...]


def held_out(labels: Sequence[int] | Labels) -> npt.NDArray[np.bool_]:
    """Which rows become the val split of a data set without one: a tenth of each class, at least one; always the same.

    Raises:
        LayoutInvalid: a class of a single image, of which nothing can be held out.
    """
    rows = np.asarray(labels)
    counts = Counter(rows.tolist())
    if any(count < 2 for count in counts.values()):
        raise LayoutInvalid("There is no val split, and a class of one image alone to make one from.")
    chosen = np.zeros(len(rows), np.bool_)
    random = np.random.default_rng(0)
    for label, count in sorted(counts.items()):
        mine = np.flatnonzero(rows == label)
        chosen[random.choice(mine, max(1, round(count * HELD_OUT)), replace=False)] = True
    return chosen


def from_arrays(
    images: Mapping[str, npt.NDArray[np.generic]],
    labels: Mapping[str, Labels],
    classes: Sequence[str] | None,
    reading: Reading,
) -> Decoded:
    """Checks raw images (N, H, W), (N, H, W, 1 | 3) or (N, 1 | 3, H, W) uint8 with labels (N,), which a split may lack.

    Without a val split a tenth of the training images becomes one; without class names the labels' numbers are the names.
    """
    for split, array in images.items():
        if (split in labels and len(array) != len(labels[split])) or not len(array):
            raise LayoutInvalid(f"{split} has {len(array)} images and {len(labels.get(split, ()))} labels.")
    _check_room(images, reading)
    pixels = {split: _sized(_rgb(array, split), reading) for split, array in images.items()}
    known = {split: labels.get(split, np.full(len(array), NO_LABEL)) for split, array in pixels.items()}
    parts = {split: Part(array, known[split]) for split, array in pixels.items()}
    notices = []
    if "val" not in parts:
        mask, whole = held_out(known["train"]), parts["train"]
        parts = {
            split: Part(whole.pixels, whole.labels[rows], rows)
            for split, rows in (("train", np.flatnonzero(~mask)), ("val", np.flatnonzero(mask)))
        }
        notices.append(no_val(len(parts["val"].labels)))
    names = _names(parts, classes)
    return Decoded(parts["train"], parts["val"], names, (*notices, *without_labels(parts["train"].labels, names)))


def no_val(images: int) -> str:
    """The notice of a split that was made."""
    return f"There was no val split: {images} training images, a tenth of each class, were taken for it."


def without_labels(train: Labels, classes: Sequence[str]) -> list[str]:
    """The notice of images without labels, where they have none."""
    if train.min(initial=0) > NO_LABEL:
        return []
    where = "None of the images has a label" if not classes else "The training images have no labels"
    return [f"{where}: methods that learn from labels cannot be used."]


def _check_room(images: Mapping[str, npt.NDArray[np.generic]], reading: Reading) -> None:
    """Arrays come whole: they must fit in memory as RGB."""
    total = sum(array.nbytes * (1 if 3 in array.shape[1:] else 3) for array in images.values())
    limit = min(reading.in_memory, reading.limits.packed_bytes)
    if total > limit:
        raise DatasetTooLarge(
            f"The images take {total >> 20} MiB, more than the limit of {limit >> 20} MiB.",
            hint=ARRAYS_ADVICE,
        )


def _rgb(array: npt.NDArray[np.generic], split: str) -> Pixels:
    if array.dtype != np.uint8:
        raise LayoutInvalid(f"The images of {split} are {array.dtype}.", hint="Save them as uint8, from 0 to 255.")
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and array.shape[3] in (1, 3) and array.shape[1] not in (1, 3):
        array = array.transpose(0, 3, 1, 2)
    if array.ndim != 4 or array.shape[1] not in (1, 3):
        raise LayoutInvalid(
            f"The images of {split} have the shape {array.shape}.", hint="Use (N, H, W), (N, H, W, 3) or (N, 3, H, W)."
        )
    shape = (len(array), 3, *array.shape[2:])
    return np.ascontiguousarray(np.broadcast_to(array, shape)).astype(np.uint8, copy=False)


def _sized(pixels: Pixels, reading: Reading) -> Pixels:
    if reading.size is None:
        return pixels
    size = (reading.size, reading.size)
    return np.stack([resized(image, size, reading.resize) for image in pixels])


def _names(parts: Mapping[str, Part], classes: Sequence[str] | None) -> tuple[str, ...]:
    found = {split: set(np.unique(part.labels).tolist()) for split, part in parts.items()}
    labelled = [labels for labels in found.values() if labels != {NO_LABEL}]
    if not labelled:
        return ()
    if found["val"] == {NO_LABEL}:
        raise LayoutInvalid(
            "The training images have labels, those of val have none.", hint="Label both splits, or train alone not."
        )
    smallest, largest = min(map(min, labelled)), max(map(max, labelled))
    count = len(classes) if classes else largest + 1
    if smallest < 0 or largest >= count:
        raise LayoutInvalid(f"The labels run from {smallest} to {largest}, and there are {count} classes.")
    missing = sorted(set(range(count)) - set.intersection(*labelled))
    if missing:
        raise LayoutInvalid(f"{len(missing)} class(es) have no image in train or in val, the first is {missing[0]}.")
    return tuple(classes) if classes else tuple(str(label) for label in range(count))
