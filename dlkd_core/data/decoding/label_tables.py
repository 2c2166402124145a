"""Labels in tables beside the images, such as metadata.csv, labels.csv or metadata.jsonl."""

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from io import StringIO
from pathlib import PurePosixPath

from dlkd_core.data.decoding.folder_layout import (
    FolderLayout,
    Placement,
    SplitName,
    choose_splits,
    split_by_name,
)
from dlkd_core.errors import LayoutInvalid

TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".jsonl"})
_LABEL_COLUMNS = (
    "label",
    "labels",
    "class",
    "class_name",
    "classname",
    "category",
    "target",
    "species",
    "breed",
)
_SPLIT_COLUMNS = ("split", "subset", "set")
# A table lists the images if at least these fractions of its rows name an image, and of the images
# are named.
_MIN_ROWS, _MIN_IMAGES = 0.5, 0.1
_MAX_LISTED = 20  # maximum number of columns that an error names
Row = Mapping[str, str]


def read_tables(
    images: Collection[PurePosixPath], tables: Mapping[PurePosixPath, bytes]
) -> tuple[FolderLayout, int]:
    """Return the layout that the tables give, and the number of tables that list images.

    Images that no table lists are left out. The layout is empty if no table lists images.

    Args:
        images: paths of all images.
        tables: contents of all tables.

    Raises:
        LayoutInvalid: a table lists images, but its column of labels is not clear.
    """
    labels: dict[PurePosixPath, tuple[SplitName, str]] = {}
    used = []
    for path, content in sorted(tables.items()):
        rows = list(_read_rows(path, content))
        if found := _read_labels(path, rows, images):
            labels |= found
            used.append(str(path))
    splits = choose_splits(Counter(split for split, _ in labels.values()))
    placements = {
        image: Placement(splits[split], label) for image, (split, label) in labels.items()
    }
    notices = [f"The labels are those in {', '.join(used)}."] if used else []
    return FolderLayout(placements, notices), len(used)


def _read_rows(path: PurePosixPath, content: bytes) -> Iterator[Row]:
    text = content.decode("utf-8-sig", errors="replace")
    if path.suffix.lower() == ".jsonl":
        for line in text.splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                return  # not a table of rows
            if isinstance(row, dict):
                yield {str(name): str(value) for name, value in row.items()}
        return
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    try:
        for row in csv.DictReader(StringIO(text), delimiter=delimiter):
            yield {str(name).strip(): str(value).strip() for name, value in row.items()}
    except csv.Error:
        return  # not a table


def _read_labels(
    table: PurePosixPath, rows: list[Row], images: Collection[PurePosixPath]
) -> dict[PurePosixPath, tuple[SplitName, str]]:
    """Return the split and label of each image that the table names."""
    by_name = _index_images(table, images)
    if not rows:
        return {}
    counts = {column: sum(row.get(column, "") in by_name for row in rows) for column in rows[0]}
    file_column = max(counts, key=lambda column: counts[column], default=None)
    if file_column is None:
        return {}
    if counts[file_column] < max(_MIN_ROWS * len(rows), _MIN_IMAGES * len(images)):
        return {}
    label_column = _find_label_column(table, [name for name in rows[0] if name != file_column])
    split_column = next((name for name in rows[0] if name.lower() in _SPLIT_COLUMNS), None)
    return {
        image: (
            split_by_name(PurePosixPath(row[split_column]) if split_column else table),
            row[label_column],
        )
        for row in rows
        if row.get(label_column)
        for image in by_name.get(row[file_column], ())
    }


def _index_images(
    table: PurePosixPath, images: Collection[PurePosixPath]
) -> dict[str, list[PurePosixPath]]:
    """Return the images by every name that a table may use: path, file name or stem."""
    by_name: dict[str, list[PurePosixPath]] = defaultdict(list)
    for image in images:
        names = {str(image), image.name, image.stem}
        if image.is_relative_to(table.parent):
            names.add(str(image.relative_to(table.parent)))
        for name in names:
            by_name[name].append(image)
    return by_name


def _find_label_column(table: PurePosixPath, columns: list[str]) -> str:
    named = [name for name in columns if name.lower() in _LABEL_COLUMNS]
    candidates = named or [name for name in columns if name.lower() not in _SPLIT_COLUMNS]
    if len(candidates) == 1:
        return candidates[0]
    raise LayoutInvalid(
        f"{table} lists the images, but it is not clear which of its columns has the labels:"
        f" {', '.join(columns[:_MAX_LISTED]) or 'there is only the column of files'}.",
        hint="Name the column label, or store images as train/<class>/<image> and"
        " val/<class>/<image>.",
    )
