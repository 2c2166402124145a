"""Decoded datasets as arrays, with an evaluation split held out if the source has none."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dlkd_core.data.decoding.image import ImageFormat, Pixels, resize_image
from dlkd_core.data.read_options import ARRAYS_TOO_LARGE_HINT, ReadOptions
from dlkd_core.errors import DatasetTooLarge, LayoutInvalid

Labels = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int64]
HOLDOUT_FRACTION = 0.1
NO_LABEL = -1


class SourceImage(NamedTuple):
    """Where an image is from: its name, as the user knows it, and the format of its file."""

    name: str
    format: ImageFormat


@dataclass(frozen=True)
class DecodedSplit:
    """A decoded split.

    Args:
        pixels: (M, 3, H, W) uint8.
        labels: class indices (N,) int64, -1 for all images if the split has no labels.
        rows: indices of the split's images in `pixels`, (N,). If None, all images in `pixels`
            belong to the split.
        sources: the source of each image, or empty if it is not known.
    """

    pixels: Pixels
    labels: Labels
    rows: Rows | None = None
    sources: Sequence[SourceImage] = ()


@dataclass(frozen=True)
class DecodedDataset:
    """A decoded dataset with both splits and the notices for the user.

    `classes` holds the class names in label order. It is empty if no image has a label.
    """

    train: DecodedSplit
    val: DecodedSplit
    classes: tuple[str, ...]
    notices: tuple[str, ...]


def choose_holdout(labels: Sequence[int] | Labels) -> npt.NDArray[np.bool_]:
    """Return a mask of the training rows to hold out as the evaluation split.

    The mask selects a tenth of each class, but at least one image. The selection is deterministic.

    Raises:
        LayoutInvalid: a class has only one image, so nothing can be held out.
    """
    rows = np.asarray(labels)
    counts = Counter(rows.tolist())
    if any(count < 2 for count in counts.values()):
        raise LayoutInvalid(
            "There is no val split, and none can be made: a class has only one image."
        )
    held_out = np.zeros(len(rows), np.bool_)
    random = np.random.default_rng(0)
    for label, count in sorted(counts.items()):
        candidates = np.flatnonzero(rows == label)
        size = max(1, round(count * HOLDOUT_FRACTION))
        held_out[random.choice(candidates, size, replace=False)] = True
    return held_out


def dataset_from_arrays(
    images: Mapping[str, npt.NDArray[np.generic]],
    labels: Mapping[str, Labels],
    classes: Sequence[str] | None,
    read_options: ReadOptions,
) -> DecodedDataset:
    """Check raw arrays and convert them to a decoded dataset.

    If there is no "val" split, a tenth of the training images is held out. If there are no class
    names, the label numbers are used as names.

    Args:
        images: uint8 images per split, (N, H, W), (N, H, W, 1 | 3) or (N, 1 | 3, H, W).
        labels: labels (N,) per split. A split may be unlabeled.
        classes: class names in label order.
        read_options: options for reading the dataset.

    Raises:
        DatasetError: the arrays are invalid or too large.
    """
    for split, array in images.items():
        if (split in labels and len(array) != len(labels[split])) or not len(array):
            raise LayoutInvalid(
                f"The {split} split has {len(array)} images and "
                f"{len(labels.get(split, ()))} labels."
            )
    _check_memory(images, read_options)
    pixels = {
        split: _resize_all(_to_rgb(array, split), read_options) for split, array in images.items()
    }
    splits = {
        split: DecodedSplit(
            array,
            labels.get(split, np.full(len(array), NO_LABEL)),
            sources=_list_sources(images[split], split),
        )
        for split, array in pixels.items()
    }
    notices = []
    if "val" not in splits:
        splits = _hold_out(splits["train"])
        notices.append(holdout_notice(len(splits["val"].labels)))
    names = _resolve_class_names(splits, classes)
    notices += missing_label_notices(splits["train"].labels, names)
    return DecodedDataset(splits["train"], splits["val"], names, tuple(notices))


def _hold_out(whole: DecodedSplit) -> dict[str, DecodedSplit]:
    mask = choose_holdout(whole.labels)
    rows = {"train": np.flatnonzero(~mask), "val": np.flatnonzero(mask)}
    return {
        split: DecodedSplit(
            whole.pixels,
            whole.labels[indices],
            indices,
            [whole.sources[index] for index in indices.tolist()],
        )
        for split, indices in rows.items()
    }


def holdout_notice(num_images: int) -> str:
    """Return the notice for a dataset without an evaluation split."""
    return (
        f"There was no val split: {num_images} training images, a tenth of each class, were held "
        "out for evaluation."
    )


def missing_label_notices(train: Labels, classes: Sequence[str]) -> list[str]:
    """Return the notices to show if the training images have no labels."""
    if train.min(initial=0) > NO_LABEL:
        return []
    if classes:
        return [
            "The training images have no labels: methods that learn from labels cannot be used."
        ]
    return ["None of the images has a label: methods that learn from labels cannot be used."]


def _check_memory(images: Mapping[str, npt.NDArray[np.generic]], read_options: ReadOptions) -> None:
    """Check that the arrays fit in memory after conversion to RGB."""
    total = sum(array.nbytes * (1 if 3 in array.shape[1:] else 3) for array in images.values())
    limit = min(read_options.memory_budget, read_options.limits.packed_bytes)
    if total > limit:
        raise DatasetTooLarge(
            f"The images take {total >> 20} MiB, more than the limit of {limit >> 20} MiB.",
            hint=ARRAYS_TOO_LARGE_HINT,
        )


def _to_rgb(array: npt.NDArray[np.generic], split: str) -> Pixels:
    if array.dtype != np.uint8:
        raise LayoutInvalid(
            f"The images of the {split} split have the type {array.dtype}, not uint8.",
            hint="Save them as uint8, from 0 to 255.",
        )
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and array.shape[3] in (1, 3) and array.shape[1] not in (1, 3):
        array = array.transpose(0, 3, 1, 2)
    if array.ndim != 4 or array.shape[1] not in (1, 3):
        raise LayoutInvalid(
            f"The images of the {split} split have an unsupported shape, {array.shape}.",
            hint="Use (N, H, W), (N, H, W, 3) or (N, 3, H, W).",
        )
    shape = (len(array), 3, *array.shape[2:])
    return np.ascontiguousarray(np.broadcast_to(array, shape)).astype(np.uint8, copy=False)


def _list_sources(array: npt.NDArray[np.generic], split: str) -> list[SourceImage]:
    """Return the source of each image of an array whose shape has been checked."""
    shape = array.shape[1:]
    if len(shape) == 2:
        height, width, channels = *shape, 1
    elif shape[0] in (1, 3):
        channels, height, width = shape
    else:
        height, width, channels = shape
    image_format = ImageFormat(height, width, channels, bits=8)
    return [SourceImage(f"{split}[{row}]", image_format) for row in range(len(array))]


def _resize_all(pixels: Pixels, read_options: ReadOptions) -> Pixels:
    if read_options.image_size is None:
        return pixels
    size = (read_options.image_size, read_options.image_size)
    return np.stack([resize_image(image, size, read_options.resize) for image in pixels])


def _resolve_class_names(
    splits: Mapping[str, DecodedSplit], classes: Sequence[str] | None
) -> tuple[str, ...]:
    """Check the labels and return the class names, or an empty tuple if no image has a label."""
    distinct = {name: set(np.unique(split.labels).tolist()) for name, split in splits.items()}
    labeled = [labels for labels in distinct.values() if labels != {NO_LABEL}]
    if not labeled:
        return ()
    if distinct["val"] == {NO_LABEL}:
        raise LayoutInvalid(
            "The training images have labels, but the val images have none.",
            hint="Add labels to the val split, or remove the labels of the train split.",
        )
    smallest, largest = min(map(min, labeled)), max(map(max, labeled))
    count = len(classes) if classes else largest + 1
    if smallest < 0 or largest >= count:
        raise LayoutInvalid(
            f"The labels range from {smallest} to {largest}, but there are {count} classes."
        )
    missing = sorted(set(range(count)) - set.intersection(*labeled))
    if missing:
        raise LayoutInvalid(
            f"{len(missing)} class(es) have no image in one of the splits. The first is "
            f"{missing[0]}."
        )
    return tuple(classes) if classes else tuple(str(label) for label in range(count))
