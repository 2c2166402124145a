"""A data set as arrays, whatever form it came in; and the split that is made where there is none."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dlkd_core.data.limits import Limits
from dlkd_core.errors import DatasetTooLarge, LayoutInvalid

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
HELD_OUT = 0.1


@dataclass(frozen=True)
class Decoded:
    """Per split: images (N, 3, H, W) uint8 and labels (N,) int64, indices of `classes`."""

    images: dict[str, Pixels]
    labels: dict[str, Labels]
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
    images: Mapping[str, npt.NDArray[np.generic]], labels: dict[str, Labels], classes: Sequence[str] | None, limits: Limits
) -> Decoded:
    """Checks raw images (N, H, W), (N, H, W, 1 | 3) or (N, 1 | 3, H, W) uint8 with labels (N,).

    Without a val split a tenth of the training images becomes one; without class names the labels' numbers are the names.
    """
    pixels = {split: _rgb(array, split) for split, array in images.items()}
    for split, array in pixels.items():
        if len(array) != len(labels[split]) or not len(array):
            raise LayoutInvalid(f"{split} has {len(array)} images and {len(labels[split])} labels.")
    if sum(array.nbytes for array in pixels.values()) > limits.packed_bytes:
        raise DatasetTooLarge(f"The images take more than the limit of {limits.packed_bytes >> 20} MiB.")
    notices = []
    if "val" not in pixels:
        mask = held_out(labels["train"])
        pixels = {"train": pixels["train"][~mask], "val": pixels["train"][mask]}
        labels = {"train": labels["train"][~mask], "val": labels["train"][mask]}
        notices.append(no_val(len(pixels["val"])))
    return Decoded(pixels, labels, _names(labels, classes), tuple(notices))


def no_val(images: int) -> str:
    """The notice of a split that was made."""
    return f"There was no val split: {images} training images, a tenth of each class, were taken for it."


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


def _names(labels: dict[str, Labels], classes: Sequence[str] | None) -> tuple[str, ...]:
    train, val = (set(np.unique(labels[split]).tolist()) for split in ("train", "val"))
    count = len(classes) if classes else max(train | val) + 1
    if min(train | val) < 0 or max(train | val) >= count:
        raise LayoutInvalid(f"The labels run from {min(train | val)} to {max(train | val)}, and there are {count} classes.")
    missing = sorted(set(range(count)) - (train & val))
    if missing:
        raise LayoutInvalid(f"{len(missing)} class(es) have no image in train or in val, the first is {missing[0]}.")
    return tuple(classes) if classes else tuple(str(label) for label in range(count))
