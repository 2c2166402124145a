"""Decodes image files to arrays, in two passes.

The first pass reads every header. The second decodes the images into arrays of the right size.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from dlkd_core.data.decoding.archive import Member
from dlkd_core.data.decoding.decoded_dataset import (
    NO_LABEL,
    DecodedDataset,
    DecodedSplit,
    Labels,
    Rows,
    SourceImage,
    choose_holdout,
    holdout_notice,
    missing_label_notices,
)
from dlkd_core.data.decoding.folder_layout import (
    REQUIRED_SPLITS,
    SPLITS,
    Placement,
    find_class_names,
)
from dlkd_core.data.decoding.image import Pixels, decode_image
from dlkd_core.data.decoding.scan import DatasetScan, Size, display_name, scan_members
from dlkd_core.data.read_options import DatasetLimits, ReadOptions
from dlkd_core.errors import ImageUnreadable

_MAX_LISTED = 5  # maximum number of broken files that an error or notice lists
_MIN_COMMON_FRACTION = 0.1  # fraction of the images that the most common size must have
_MAX_ENLARGEMENT = 2.0  # images that are enlarged more than this are counted
_RESIZE_VERBS = {"crop": "scaled and cropped", "stretch": "stretched", "pad": "scaled and padded"}


@dataclass(frozen=True)
class _RowPlan:
    rows: dict[PurePosixPath, tuple[str, int]]  # maps each file to its split and row
    labels: dict[str, Labels]  # maps each split to its labels


def dataset_from_files(
    open_members: Callable[[], Iterator[Member]],
    read_options: ReadOptions,
    classes: Sequence[str] | None = None,
    scan: DatasetScan | None = None,
    notices: Sequence[str] = (),
) -> DecodedDataset:
    """Decode every image of every split.

    The rows are in the order of the sorted paths, so the order of the files in an archive does not
    matter.

    Args:
        open_members: function that returns an iterator over the files. It is called once per pass.
        read_options: options for reading the dataset.
        classes: class names in label order. If set, the names of the class folders must be
            zero-padded class indices.
        scan: an existing scan of the files. If given, the first pass is skipped.
        notices: messages for the user about how the files were found.

    Raises:
        DatasetError: the dataset is invalid. The message names the file or class.
    """
    is_indexed = classes is not None
    scan = scan or scan_members(open_members(), read_options.limits, is_indexed=is_indexed)
    scan.place_images()
    _make_val_split(scan)
    folders = find_class_names(scan.placements.values())
    size = _target_size(scan.size_counts, read_options)
    plan = _plan_rows(scan, folders)
    images = read_options.allocate(
        {split: (len(labels), scan.channels, *size) for split, labels in plan.labels.items()}
    )
    _decode_into(images, open_members(), plan, scan, read_options)
    rows = _decodable_rows(plan, scan, read_options.limits)
    train_labels = plan.labels["train"] if rows is None else plan.labels["train"][rows]
    sources = _list_sources(plan, scan)
    names = folders if classes is None else tuple(classes[int(folder)] for folder in folders)
    all_notices = (
        *notices,
        *scan.notices,
        *_order_notices(folders),
        *_scan_notices(scan, size, read_options),
        *missing_label_notices(train_labels, names),
    )
    return DecodedDataset(
        DecodedSplit(images["train"], train_labels, rows, sources["train"]),
        DecodedSplit(images["val"], plan.labels["val"], sources=sources["val"]),
        names,
        all_notices,
        DecodedSplit(images["test"], plan.labels["test"]) if "test" in images else None,
    )


def _make_val_split(scan: DatasetScan) -> None:
    """Hold out some training images as the evaluation split, unless there already is one."""
    placements = scan.placements
    if not placements or any(placement.split == "val" for placement in placements.values()):
        return
    names = sorted(placements)
    distinct = sorted({placement.label or "" for placement in placements.values()})
    class_indices = {label: index for index, label in enumerate(distinct)}
    held_out = choose_holdout([class_indices[placements[name].label or ""] for name in names])
    for name, is_held_out in zip(names, held_out, strict=True):
        if is_held_out:
            placements[name] = Placement("val", placements[name].label)
    scan.notices.append(holdout_notice(int(held_out.sum())))


def _plan_rows(scan: DatasetScan, folders: tuple[str, ...]) -> _RowPlan:
    class_indices: dict[str | None, int] = {name: index for index, name in enumerate(folders)}
    rows: dict[PurePosixPath, tuple[str, int]] = {}
    labels: dict[str, Labels] = {}
    for split in SPLITS:
        names = sorted(
            name for name, placement in scan.placements.items() if placement.split == split
        )
        if not names and split not in REQUIRED_SPLITS:
            continue
        rows.update({name: (split, row) for row, name in enumerate(names)})
        labels[split] = np.array(
            [class_indices.get(scan.placements[name].label, NO_LABEL) for name in names], np.int64
        )
    return _RowPlan(rows, labels)


def _list_sources(plan: _RowPlan, scan: DatasetScan) -> dict[str, list[SourceImage]]:
    """Return the sources of the images that were decoded, in the order of their rows.

    Bytes of a name that are not valid Unicode, which a tar can contain, become question marks.
    """
    sources: dict[str, list[SourceImage]] = {split: [] for split in SPLITS}
    for name, (split, _) in plan.rows.items():
        if name not in scan.broken_files:
            text = display_name(name).encode("utf-8", "replace").decode()
            sources[split].append(SourceImage(text, scan.formats[name]))
    return sources


def _decode_into(
    images: dict[str, Pixels],
    members: Iterator[Member],
    plan: _RowPlan,
    scan: DatasetScan,
    read_options: ReadOptions,
) -> None:
    """Decode each file into its row of `images`.

    Files that cannot be decoded are added to `scan.broken_files`.
    """
    channels, height, width = images["train"].shape[1:]
    value_range = scan.value_range
    for name, content in members:
        if name in plan.rows and name not in scan.broken_files:
            split, row = plan.rows[name]
            try:
                images[split][row] = decode_image(
                    content,
                    display_name(name),
                    read_options.limits,
                    (channels, height, width),
                    read_options.resize,
                    value_range,
                )
            except ImageUnreadable as error:
                scan.broken_files[name] = error.message


def _decodable_rows(plan: _RowPlan, scan: DatasetScan, limits: DatasetLimits) -> Rows | None:
    """Return the rows of the training images that were decoded, or None if all images were.

    Raises:
        ImageUnreadable: an evaluation image, or too many training images, could not be decoded.
    """
    if not scan.broken_files:
        return None
    broken = [plan.rows[name] for name in scan.broken_files]
    num_train = len(plan.labels["train"])
    too_many = len(broken) > limits.broken_fraction * num_train
    if too_many or any(split != "train" for split, _ in broken):
        raise ImageUnreadable(_join_messages(scan.broken_files))
    scan.notices.append(
        f"{len(broken)} training images were skipped: {_join_messages(scan.broken_files)}"
    )
    return np.setdiff1d(np.arange(num_train), [row for _, row in broken])


def _join_messages(broken_files: dict[PurePosixPath, str]) -> str:
    messages = list(broken_files.values())
    rest = len(messages) - _MAX_LISTED
    more = f" … and {rest} more files." if rest > 0 else ""
    return " ".join(messages[:_MAX_LISTED]) + more


def _target_size(sizes: Counter[Size], read_options: ReadOptions) -> Size:
    """Return the size of `image_size`, else the most common size, or the median of many sizes."""
    if read_options.image_size is not None:
        return read_options.image_size, read_options.image_size
    if not sizes:
        return 1, 1
    (size, count) = sizes.most_common(1)[0]
    if _is_common(count, sizes):
        return size
    heights, widths = (sorted(side) for side in zip(*sizes.elements(), strict=True))
    return heights[len(heights) // 2], widths[len(widths) // 2]


def _is_common(count: int, sizes: Counter[Size]) -> bool:
    return count >= _MIN_COMMON_FRACTION * sizes.total()


def _order_notices(folders: Sequence[str]) -> list[str]:
    if list(folders) == sorted(folders):
        return []
    as_text = ", ".join(sorted(folders)[:4])
    notice = (
        "The classes are numbers, so they are in numeric order. A program that sorts the folder"
        f" names as text has another order, which begins with {as_text}. For a teacher from such a"
        " program, set the teacher's class_map to auto."
    )
    return [notice]


def _scan_notices(scan: DatasetScan, size: Size, read_options: ReadOptions) -> Iterator[str]:
    sizes = scan.size_counts
    resized = sizes.total() - sizes[size]
    if resized:
        is_common = _is_common(sizes[size], sizes)
        common = "the most common size" if is_common else "the median size"
        target = common if read_options.image_size is None else "dataset.image_size"
        verb = _RESIZE_VERBS[read_options.resize]
        yield f"{resized} images of other sizes were {verb} to {target}, {size[0]} x {size[1]}."
    enlarged = sum(
        count
        for (height, width), count in sizes.items()
        if min(size[0] / height, size[1] / width) > _MAX_ENLARGEMENT
    )
    if enlarged:
        yield f"{enlarged} images were enlarged more than {_MAX_ENLARGEMENT:g} times."
    damaged = len(scan.damaged_orientations - scan.broken_files.keys())
    if damaged:
        subject = "1 image has" if damaged == 1 else f"{damaged} images have"
        yield (
            f"{subject} an EXIF orientation that cannot be read, and may be rotated or mirrored."
            " The pixels were used as they are stored."
        )
    if value_range := scan.value_range:
        black, white = value_range.limits
        yield (
            f"{len(scan.value_ranges)} images have values with more than 8 bits, from"
            f" {value_range.smallest:g} to {value_range.largest:g}. They were scaled so that"
            f" {black:g} is black and {white:g} is white."
        )
