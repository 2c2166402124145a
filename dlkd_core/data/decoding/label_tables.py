"""Labels in tables beside the images, such as metadata.csv, labels.csv or metadata.jsonl."""

import csv
import json
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import PurePosixPath
from typing import Any

from dlkd_core.data.decoding.folder_layout import (
    FolderLayout,
    Placement,
    SplitName,
    choose_splits,
    split_by_name,
)
from dlkd_core.errors import LayoutInvalid

TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".jsonl"})
ANNOTATIONS_FILE = "val_annotations.txt"  # of Tiny ImageNet
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
_MARKED, _UNMARKED = frozenset({"1", "1.0"}), frozenset({"0", "0.0"})
_MAX_COLUMNS = 1000
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
    used, notices = [], []
    for path, content in sorted(tables.items()):
        table = _read_table(path, content)
        found, unknown = _read_labels(path, table.rows, images)
        if not found:
            continue
        if table.problem:
            raise LayoutInvalid(
                f"{path} lists the images, but it cannot be read to the end: {table.problem}.",
                hint="Correct the table, and save it as UTF-8.",
            )
        labels |= found
        used.append(str(path))
        if unknown:
            notices.append(f"{unknown} rows of {path} name no image.")
    splits = choose_splits(Counter(split for split, _ in labels.values()))
    placements = {
        image: Placement(splits[split], label) for image, (split, label) in labels.items()
    }
    if used:
        notices.insert(0, f"The labels are those in {', '.join(used)}.")
    return FolderLayout(placements, notices), len(used)


def read_annotations(
    images: Collection[PurePosixPath], tables: Mapping[PurePosixPath, bytes]
) -> dict[PurePosixPath, str]:
    """Return the classes of images that Tiny ImageNet's val_annotations.txt lists.

    Each line of the file begins with the name of an image and its class. The images are in a folder
    beside the file.
    """
    annotated: dict[PurePosixPath, str] = {}
    for table, content in tables.items():
        if table.name == ANNOTATIONS_FILE:
            lines = content.decode("utf-8", errors="replace").splitlines()
            labels = {row[0]: row[1] for line in lines if len(row := line.split()) > 1}
            annotated |= {
                image: labels[image.name]
                for image in images
                if image.name in labels and image.is_relative_to(table.parent)
            }
    return annotated


@dataclass(frozen=True)
class _Table:
    """The rows of a table, and what is wrong with the first row that cannot be read."""

    rows: list[Row]
    problem: str = ""


def _read_table(path: PurePosixPath, content: bytes) -> _Table:
    encoding = "utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig"
    text = content.decode(encoding, errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    table = _read_json_lines(text) if path.suffix.lower() == ".jsonl" else _read_csv(text)
    if "\ufffd" in text and not table.problem:
        return _Table(table.rows, "it is not encoded as UTF-8")
    return table


def _read_json_lines(text: str) -> _Table:
    rows: list[Row] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            return _Table(rows, f"line {number} is not valid JSON")
        if isinstance(row, dict):
            rows.append({str(name): _to_text(value) for name, value in row.items()})
    return _Table(rows)


def _read_csv(text: str) -> _Table:
    rows: list[Row] = []
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    if header.count(delimiter) >= _MAX_COLUMNS:
        return _Table(rows, f"it has more than {_MAX_COLUMNS} columns")
    reader = csv.DictReader(StringIO(text), delimiter=delimiter, strict=True)
    try:
        rows.extend(
            {name.strip(): _to_text(value) for name, value in row.items() if name is not None}
            for row in reader
        )
    except csv.Error as error:
        return _Table(rows, f"{error} in line {reader.line_num}")
    return _Table(rows)


def _to_text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _read_labels(
    table: PurePosixPath, rows: list[Row], images: Collection[PurePosixPath]
) -> tuple[dict[PurePosixPath, tuple[SplitName, str]], int]:
    """Return the split and label of each image that the table names, and the other rows' number.

    Raises:
        LayoutInvalid: the column of labels is not clear, or an image has two labels.
    """
    by_name = _index_images(table, images)
    if not rows:
        return {}, 0
    counts = {column: sum(row.get(column, "") in by_name for row in rows) for column in rows[0]}
    file_column = max(counts, key=lambda column: counts[column], default=None)
    if file_column is None:
        return {}, 0
    if counts[file_column] < max(_MIN_ROWS * len(rows), _MIN_IMAGES * len(images)):
        return {}, 0
    columns = [name for name in rows[0] if name != file_column]
    split_column = next((name for name in columns if name.lower() in _SPLIT_COLUMNS), None)
    read_label = _find_label_reader(table, rows, columns)
    labels: dict[PurePosixPath, tuple[SplitName, str]] = {}
    for row in rows:
        label = read_label(row)
        split = split_by_name(PurePosixPath(row.get(split_column, "")) if split_column else table)
        for image in by_name.get(row.get(file_column, ""), ()) if label else ():
            if labels.setdefault(image, (split, label or "")) != (split, label):
                raise LayoutInvalid(
                    f"{table} gives {image} two labels or splits: {labels[image][1]!r} and"
                    f" {label!r}.",
                    hint="List every image once.",
                )
    return labels, len(rows) - counts[file_column]


def _index_images(
    table: PurePosixPath, images: Collection[PurePosixPath]
) -> dict[str, list[PurePosixPath]]:
    """Return the images by every name that a table may use: path, file name or stem.

    A path that is relative to the table means only that image, even if others have the same name.
    """
    by_path: dict[str, list[PurePosixPath]] = {}
    by_name: dict[str, list[PurePosixPath]] = defaultdict(list)
    for image in images:
        by_path.setdefault(str(image), [image])
        for name in {image.name, image.stem}:
            by_name[name].append(image)
    for image in images:
        if image.is_relative_to(table.parent):
            by_path[str(image.relative_to(table.parent))] = [image]
    return {**by_name, **by_path}


def _find_label_reader(
    table: PurePosixPath, rows: list[Row], columns: list[str]
) -> Callable[[Row], str | None]:
    """Return a function that reads the label of a row.

    The labels are in one column, or each class has a column that contains 1 for its images and 0
    for all others.
    """
    named = [name for name in columns if name.lower() in _LABEL_COLUMNS]
    candidates = named or [name for name in columns if name.lower() not in _SPLIT_COLUMNS]
    if len(candidates) == 1:
        return lambda row: row.get(candidates[0])
    counts = _count_marked_classes(rows, candidates)
    if counts == {1}:
        return lambda row: next(name for name in candidates if row[name] in _MARKED)
    if counts:
        raise LayoutInvalid(
            f"{table} marks several classes or none for some images:"
            f" {', '.join(candidates[:_MAX_LISTED])}. The service trains classifiers with one class"
            " per image.",
            hint="Keep the images that have exactly one class, and remove the other rows.",
        )
    raise LayoutInvalid(
        f"{table} lists the images, but it is not clear which of its columns has the labels:"
        f" {', '.join(columns[:_MAX_LISTED]) or 'there is only the column of files'}.",
        hint="Name the column label, or store images as train/<class>/<image> and"
        " val/<class>/<image>.",
    )


def _count_marked_classes(rows: list[Row], columns: list[str]) -> set[int]:
    """Return how many columns of a row contain 1, over all rows.

    The set is empty if there are other values than 0 and 1.
    """
    values = {row.get(name, "") for row in rows for name in columns}
    if not columns or not values <= _MARKED | _UNMARKED:
        return set()
    return {sum(row[name] in _MARKED for name in columns) for row in rows}
