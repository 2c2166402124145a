"""From encoded files to arrays, in two passes: look at every header first, then decode into arrays of the right size."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from dlkd_core.data.image import Pixels, decode, image_size
from dlkd_core.data.layout import SPLITS, Place, classes_of, place
from dlkd_core.data.limits import Limits
from dlkd_core.data.source import members
from dlkd_core.errors import DatasetTooLarge, ImageUnreadable, LayoutInvalid

_NAMED = 5  # broken files named in an error


@dataclass(frozen=True)
class Decoded:
    """Per split: images (N, 3, H, W) uint8 and labels (N,) int64."""

    images: dict[str, Pixels]
    labels: dict[str, npt.NDArray[np.int64]]
    classes: tuple[str, ...]
    notices: tuple[str, ...]


@dataclass(frozen=True)
class _Plan:
    rows: dict[PurePosixPath, tuple[str, int]]  # file -> split, row
    labels: dict[str, npt.NDArray[np.int64]]
    classes: tuple[str, ...]
    size: tuple[int, int]
    notices: tuple[str, ...]


def decode_all(path: Path, limits: Limits) -> Decoded:
    """Every image of a folder or archive; rows in sorted order of the paths, so that one content gives one result."""
    plan = _plan(path, limits)
    images = {split: np.empty((len(labels), 3, *plan.size), np.uint8) for split, labels in plan.labels.items()}
    broken: list[str] = []
    for name, content in members(path, limits):
        if name in plan.rows:
            split, row = plan.rows[name]
            try:
                images[split][row] = decode(content, str(name), limits, plan.size)
            except ImageUnreadable as error:
                broken.append(error.message)
    _refuse(broken)
    return Decoded(images, plan.labels, plan.classes, plan.notices)


def _plan(path: Path, limits: Limits) -> _Plan:
    places: dict[PurePosixPath, Place] = {}
    sizes: Counter[tuple[int, int]] = Counter()
    broken: list[str] = []
    beside = 0
    for name, content in members(path, limits):
        where = place(name) if name.parts else None
        if where is None:
            beside += 1
            continue
        if name in places:
            raise LayoutInvalid(f"{name} occurs twice in the archive.", hint="Give every image a path of its own.")
        places[name] = where
        try:
            sizes[image_size(content, str(name), limits)] += 1
        except ImageUnreadable as error:
            broken.append(error.message)
    classes = classes_of(places.values())
    _refuse(broken)
    return _Plan(*_rows(places, classes), classes, _common_size(sizes, limits), _notices(sizes, beside))


def _rows(
    places: dict[PurePosixPath, Place], classes: tuple[str, ...]
) -> tuple[dict[PurePosixPath, tuple[str, int]], dict[str, npt.NDArray[np.int64]]]:
    index = {name: number for number, name in enumerate(classes)}
    rows: dict[PurePosixPath, tuple[str, int]] = {}
    labels: dict[str, npt.NDArray[np.int64]] = {}
    for split in SPLITS:
        names = sorted(name for name, where in places.items() if where.split == split)
        rows.update({name: (split, row) for row, name in enumerate(names)})
        labels[split] = np.array([index[places[name].label] for name in names], np.int64)
    return rows, labels


def _common_size(sizes: Counter[tuple[int, int]], limits: Limits) -> tuple[int, int]:
    size = sizes.most_common(1)[0][0]
    total = sizes.total() * 3 * size[0] * size[1]
    if total > limits.packed_bytes:
        raise DatasetTooLarge(f"The images decode to {total >> 20} MiB, more than the limit of {limits.packed_bytes >> 20} MiB.")
    return size


def _notices(sizes: Counter[tuple[int, int]], beside: int) -> tuple[str, ...]:
    found = []
    (height, width), most = sizes.most_common(1)[0]
    if len(sizes) > 1:
        found.append(
            f"{sizes.total() - most} images of other sizes were scaled and cropped to the most common, {height} x {width}."
        )
    if beside:
        found.append(f"{beside} files outside train/<class>/ and val/<class>/ were left out.")
    return tuple(found)


def _refuse(broken: list[str]) -> None:
    if broken:
        more = f" … and {len(broken) - _NAMED} more files." if len(broken) > _NAMED else ""
        raise ImageUnreadable(" ".join(broken[:_NAMED]) + more)
