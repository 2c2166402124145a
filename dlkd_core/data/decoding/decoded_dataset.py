"""Decoded datasets as arrays, with an evaluation split held out if the source has none."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dlkd_core.catalog.architectures.architecture import MAX_CHANNELS, MAX_CLASSES, RGB_CHANNELS
from dlkd_core.data.decoding.folder_layout import SPLITS, choose_splits, unused_test_notice
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
        pixels: (M, C, H, W) uint8.
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
    """A decoded dataset with its splits and the notices for the user.

    `classes` holds the class names in label order. It is empty if no image has a label. `test` is
    None unless there is a labeled test split beside the evaluation split.
    """

    train: DecodedSplit
    val: DecodedSplit
    classes: tuple[str, ...]
    notices: tuple[str, ...]
    test: DecodedSplit | None = None


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
    notices: Sequence[str] = (),
) -> DecodedDataset:
    """Check raw arrays and convert them to a decoded dataset.

    If there is no "val" split, the "test" split takes its place, or a tenth of the training images
    is held out. If there are no class names, the label numbers are used as names.

    Args:
        images: uint8 images per split, (N, H, W), (N, H, W, C) or (N, C, H, W).
        labels: labels (N,) per split. A split may be unlabeled.
        classes: class names in label order.
        read_options: options for reading the dataset.
        notices: messages for the user about how the arrays were found.

    Raises:
        DatasetError: the arrays are invalid or too large.
    """
    _check_labels(images, labels)
    use = choose_splits({name: len(images.get(name, ())) for name in SPLITS})
    images = {use[name]: images[name] for name in SPLITS if name in images}
    labels = {use[name]: labels[name] for name in SPLITS if name in labels}
    _check_memory(images, read_options)
    pixels = {
        split: _resize_all(_channels_first(array, split), read_options)
        for split, array in images.items()
    }
    _check_same_shape(pixels)
    splits = {
        split: DecodedSplit(
            array,
            labels.get(split, np.full(len(array), NO_LABEL)),
            sources=_list_sources(images[split], split),
        )
        for split, array in pixels.items()
    }
    all_notices = list(notices)
    test = splits.pop("test", None)
    if test is not None:
        known = set(splits["val"].labels.tolist()) - {NO_LABEL}
        unknown = set(test.labels.tolist()) - known
        if unknown:
            words = {None if label == NO_LABEL else str(label) for label in unknown}
            all_notices.append(unused_test_notice(len(test.labels), words))
            test = None
    if "val" not in splits:
        splits = _hold_out(splits["train"])
        all_notices.append(holdout_notice(len(splits["val"].labels)))
    names = _resolve_class_names(splits, classes)
    all_notices += missing_label_notices(splits["train"].labels, names)
    return DecodedDataset(splits["train"], splits["val"], names, tuple(all_notices), test)


def _check_labels(
    images: Mapping[str, npt.NDArray[np.generic]], labels: Mapping[str, Labels]
) -> None:
    """Check that every split has images, and one label per image if it has labels."""
    for split, array in images.items():
        if split in labels and labels[split].ndim != 1:
            raise LayoutInvalid(
                f"The labels of the {split} split have {labels[split].ndim} dimensions, not one."
            )
        if (split in labels and len(array) != len(labels[split])) or not len(array):
            raise LayoutInvalid(
                f"The {split} split has {len(array)} images and "
                f"{len(labels.get(split, ()))} labels."
            )


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
    """Check that the arrays fit in memory."""
    total = sum(array.nbytes for array in images.values())
    limit = min(read_options.memory_budget, read_options.limits.packed_bytes)
    if total > limit:
        raise DatasetTooLarge(
            f"The images take {total >> 20} MiB, more than the limit of {limit >> 20} MiB.",
            hint=ARRAYS_TOO_LARGE_HINT,
        )


def _check_same_shape(pixels: Mapping[str, Pixels]) -> None:
    """Check that the images of all splits have the same size and number of channels."""
    shapes = {split: array.shape[1:] for split, array in pixels.items()}
    if len(set(shapes.values())) > 1:
        found = ", ".join(
            f"{height} x {width} with {channels} channels in {split}"
            for split, (channels, height, width) in shapes.items()
        )
        raise LayoutInvalid(
            f"The images of the splits have different sizes or channels: {found}.",
            hint="Give all images one size and one number of channels before saving them.",
        )


def _channels_first(array: npt.NDArray[np.generic], split: str) -> Pixels:
    """Return the images as (N, C, H, W). Images (N, H, W) have one channel."""
    if array.dtype != np.uint8:
        raise LayoutInvalid(
            f"The images of the {split} split have the type {array.dtype}, not uint8.",
            hint="Save them as uint8, from 0 to 255.",
        )
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and _has_channels_last(array.shape):
        array = array.transpose(0, 3, 1, 2)
    if array.ndim != 4 or not 1 <= array.shape[1] <= MAX_CHANNELS or not array.size:
        raise LayoutInvalid(
            f"The images of the {split} split have an unsupported shape, {array.shape}.",
            hint="Use (N, H, W), (N, H, W, C) or (N, C, H, W), with 1 (grayscale), 3 (RGB) or up to"
            f" {MAX_CHANNELS} channels.",
        )
    return np.require(array, np.uint8, ["C", "W"])


def _has_channels_last(shape: tuple[int, ...]) -> bool:
    """Return whether images of this shape (N, ?, ?, ?) have their channels in the last dimension.

    Dimensions of 1 and 3 are those of grayscale and RGB images. Otherwise, there are fewer channels
    than rows and columns.
    """
    _, first, height, last = shape
    common = (1, RGB_CHANNELS)
    if (first in common) != (last in common):
        return last in common
    return last < min(first, height)


def _list_sources(array: npt.NDArray[np.generic], split: str) -> list[SourceImage]:
    """Return the source of each image of an array whose shape has been checked."""
    shape = array.shape[1:]
    if len(shape) == 2:
        height, width, channels = *shape, 1
    elif _has_channels_last(array.shape):
        height, width, channels = shape
    else:
        channels, height, width = shape
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
    if smallest < 0 or largest >= min(count, MAX_CLASSES):
        raise LayoutInvalid(
            f"The labels range from {smallest} to {largest}, but there are {count} classes."
            if smallest < 0 or largest < MAX_CLASSES
            else f"The largest label is {largest}, so it is not a class index."
        )
    missing = sorted(set(range(count)) - set.intersection(*labeled))
    if missing:
        raise LayoutInvalid(
            f"{len(missing)} class(es) have no image in one of the splits. The first is "
            f"{missing[0]}."
        )
    return tuple(classes) if classes else tuple(str(label) for label in range(count))
