"""From encoded images to arrays, in two passes: look at every header first, then decode into arrays of the right size."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from dlkd_core.data.decoded import NO_LABEL, Decoded, Labels, Part, Rows, held_out, no_val, without_labels
from dlkd_core.data.image import decode
from dlkd_core.data.layout import SPLITS, Place, classes_of
from dlkd_core.data.limits import Limits
from dlkd_core.data.reading import Reading
from dlkd_core.data.source import Member
from dlkd_core.data.survey import Size, Survey, said, surveyed
from dlkd_core.errors import ImageUnreadable

_NAMED = 5  # broken files named in an error or a notice


@dataclass(frozen=True)
class _Plan:
    rows: dict[PurePosixPath, tuple[str, int]]  # file -> split, row
    labels: dict[str, Labels]


def from_members(
    stream: Callable[[], Iterator[Member]],
    reading: Reading,
    classes: Sequence[str] | None = None,
    survey: Survey | None = None,
) -> Decoded:
    """Every image under train/ and val/ of a stream that can be begun twice, in class folders where they have labels.

    Rows follow the sorted paths, so that one content gives one result. With `classes` the class folders are their
    zero-padded indices. A `survey` that was made on the way saves the first pass.
    """
    survey = survey or surveyed(stream(), reading.limits)
    survey.leave_strays()
    _hold_out(survey)
    folders = classes_of(survey.places.values())
    size = _size(survey.sizes, reading)
    plan = _plan(survey, folders)
    images = reading.room({split: (len(labels), 3, *size) for split, labels in plan.labels.items()})
    for name, content in stream():
        if name in plan.rows and name not in survey.broken:
            split, row = plan.rows[name]
            try:
                images[split][row] = decode(content, said(name), reading.limits, size, reading.resize)
            except ImageUnreadable as error:
                survey.broken[name] = error.message
    rows = _sound(plan, survey, reading.limits)
    train = Part(images["train"], plan.labels["train"] if rows is None else plan.labels["train"][rows], rows)
    names = folders if classes is None else tuple(classes[int(folder)] for folder in folders)
    notices = (*survey.notices, *_notices(survey, size, reading), *without_labels(train.labels, names))
    return Decoded(train, Part(images["val"], plan.labels["val"]), names, notices)


def _hold_out(survey: Survey) -> None:
    """Makes a val split of the training images where there is none."""
    if not survey.places or any(where.split == "val" for where in survey.places.values()):
        return
    names = sorted(survey.places)
    labels = {label: number for number, label in enumerate(sorted({where.label or "" for where in survey.places.values()}))}
    chosen = held_out([labels[survey.places[name].label or ""] for name in names])
    for name in (name for name, taken in zip(names, chosen, strict=True) if taken):
        survey.places[name] = Place("val", survey.places[name].label)
    survey.notices.append(no_val(int(chosen.sum())))


def _plan(survey: Survey, folders: tuple[str, ...]) -> _Plan:
    index: dict[str | None, int] = {name: number for number, name in enumerate(folders)}
    rows: dict[PurePosixPath, tuple[str, int]] = {}
    labels: dict[str, Labels] = {}
    for split in SPLITS:
        names = sorted(name for name, where in survey.places.items() if where.split == split)
        rows.update({name: (split, row) for row, name in enumerate(names)})
        labels[split] = np.array([index.get(survey.places[name].label, NO_LABEL) for name in names], np.int64)
    return _Plan(rows, labels)


def _sound(plan: _Plan, survey: Survey, limits: Limits) -> Rows | None:
    """The training rows that could be decoded, None for all; `ImageUnreadable` where too many could not."""
    if not survey.broken:
        return None
    lost = [plan.rows[name] for name in survey.broken]
    if any(split == "val" for split, _ in lost) or len(lost) > limits.broken_share * len(plan.labels["train"]):
        raise ImageUnreadable(_listed(survey.broken))
    survey.notices.append(f"{len(lost)} training images were left out: {_listed(survey.broken)}")
    return np.setdiff1d(np.arange(len(plan.labels["train"])), [row for _, row in lost])


def _listed(broken: dict[PurePosixPath, str]) -> str:
    messages = list(broken.values())
    more = f" … and {len(messages) - _NAMED} more files." if len(messages) > _NAMED else ""
    return " ".join(messages[:_NAMED]) + more


def _size(sizes: Counter[Size], reading: Reading) -> Size:
    if reading.size is not None:
        return reading.size, reading.size
    return sizes.most_common(1)[0][0] if sizes else (1, 1)


_DONE = {"crop": "scaled and cropped", "stretch": "stretched", "pad": "scaled and padded"}


def _notices(survey: Survey, size: Size, reading: Reading) -> Iterator[str]:
    sizes = survey.sizes
    others = sizes.total() - sizes[size]
    if others:
        target = "the most common" if reading.size is None else "dataset.image_size"
        yield f"{others} images of other sizes were {_DONE[reading.resize]} to {target}, {size[0]} x {size[1]}."
    if survey.beside:
        yield f"{survey.beside} files outside train/<class>/ and val/<class>/ were left out."
