"""From encoded images to arrays, in two passes: look at every header first, then decode into arrays of the right size."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np

from dlkd_core.data.decoded import Decoded, Labels, Pixels, held_out, no_val
from dlkd_core.data.image import decode, image_size
from dlkd_core.data.layout import SPLITS, Place, classes_of, place
from dlkd_core.data.limits import Limits
from dlkd_core.data.source import Member
from dlkd_core.errors import DatasetTooLarge, ImageUnreadable, LayoutInvalid

_NAMED = 5  # broken files named in an error or a notice
Size = tuple[int, int]


@dataclass
class _Survey:
    """What the headers say."""

    places: dict[PurePosixPath, Place] = field(default_factory=dict)
    sizes: Counter[Size] = field(default_factory=Counter)
    broken: dict[PurePosixPath, str] = field(default_factory=dict)
    beside: int = 0
    notices: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Plan:
    rows: dict[PurePosixPath, tuple[str, int]]  # file -> split, row
    labels: dict[str, Labels]


def from_members(stream: Callable[[], Iterator[Member]], limits: Limits, classes: Sequence[str] | None = None) -> Decoded:
    """Every image under train/<class>/ and val/<class>/ of a stream that can be begun twice.

    Rows follow the sorted paths, so that one content gives one result. With `classes` the class folders are their
    zero-padded indices.
    """
    survey = _survey(stream(), limits)
    _hold_out(survey)
    folders = classes_of(survey.places.values())
    size = _common_size(survey.sizes, limits)
    plan = _plan(survey, folders)
    images = {split: np.empty((len(labels), 3, *size), np.uint8) for split, labels in plan.labels.items()}
    for name, content in stream():
        if name in plan.rows and name not in survey.broken:
            split, row = plan.rows[name]
            try:
                images[split][row] = decode(content, str(name), limits, size)
            except ImageUnreadable as error:
                survey.broken[name] = error.message
    images, labels = _sound(images, plan, survey, limits)
    names = folders if classes is None else tuple(classes[int(folder)] for folder in folders)
    return Decoded(images, labels, names, (*survey.notices, *_notices(survey)))


def _survey(stream: Iterator[Member], limits: Limits) -> _Survey:
    found = _Survey()
    for name, content in stream:
        where = place(name) if name.parts else None
        if where is None:
            found.beside += 1
            continue
        if name in found.places:
            raise LayoutInvalid(f"{name} occurs twice in the archive.", hint="Give every image a path of its own.")
        found.places[name] = where
        try:
            found.sizes[image_size(content, str(name), limits)] += 1
        except ImageUnreadable as error:
            found.broken[name] = error.message
    return found


def _hold_out(survey: _Survey) -> None:
    """Makes a val split of the training images where there is none."""
    if not survey.places or any(where.split == "val" for where in survey.places.values()):
        return
    names = sorted(survey.places)
    labels = sorted({where.label for where in survey.places.values()})
    chosen = held_out([labels.index(survey.places[name].label) for name in names])
    for name in (name for name, taken in zip(names, chosen, strict=True) if taken):
        survey.places[name] = Place("val", survey.places[name].label)
    survey.notices.append(no_val(int(chosen.sum())))


def _plan(survey: _Survey, folders: tuple[str, ...]) -> _Plan:
    index = {name: number for number, name in enumerate(folders)}
    rows: dict[PurePosixPath, tuple[str, int]] = {}
    labels: dict[str, Labels] = {}
    for split in SPLITS:
        names = sorted(name for name, where in survey.places.items() if where.split == split)
        rows.update({name: (split, row) for row, name in enumerate(names)})
        labels[split] = np.array([index[survey.places[name].label] for name in names], np.int64)
    return _Plan(rows, labels)


def _sound(
    images: dict[str, Pixels], plan: _Plan, survey: _Survey, limits: Limits
) -> tuple[dict[str, Pixels], dict[str, Labels]]:
    """The rows that could be decoded; `ImageUnreadable` where too many could not."""
    if not survey.broken:
        return images, plan.labels
    lost = [plan.rows[name] for name in survey.broken]
    if any(split == "val" for split, _ in lost) or len(lost) > limits.broken_share * len(plan.labels["train"]):
        raise ImageUnreadable(_listed(survey.broken))
    kept = np.ones(len(plan.labels["train"]), np.bool_)
    kept[[row for _, row in lost]] = False
    survey.notices.append(f"{len(lost)} training images were left out: {_listed(survey.broken)}")
    return {**images, "train": images["train"][kept]}, {**plan.labels, "train": plan.labels["train"][kept]}


def _listed(broken: dict[PurePosixPath, str]) -> str:
    messages = list(broken.values())
    more = f" … and {len(messages) - _NAMED} more files." if len(messages) > _NAMED else ""
    return " ".join(messages[:_NAMED]) + more


def _common_size(sizes: Counter[Size], limits: Limits) -> Size:
    size = sizes.most_common(1)[0][0] if sizes else (1, 1)
    total = sizes.total() * 3 * size[0] * size[1]
    if total > limits.packed_bytes:
        raise DatasetTooLarge(f"The images decode to {total >> 20} MiB, more than the limit of {limits.packed_bytes >> 20} MiB.")
    return size


def _notices(survey: _Survey) -> Iterator[str]:
    (height, width), most = survey.sizes.most_common(1)[0]
    others = survey.sizes.total() - most
    if others:
        yield f"{others} images of other sizes were scaled and cropped to the most common, {height} x {width}."
    if survey.beside:
        yield f"{survey.beside} files outside train/<class>/ and val/<class>/ were left out."
