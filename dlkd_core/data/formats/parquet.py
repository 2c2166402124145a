"""Parquet and Arrow files with an image column and, optionally, a label column.

Parquet files are found on the Hugging Face Hub, and Arrow files in folders that were written with
`save_to_disk` of the `datasets` library.

The columns are identified by their names and types. Encoded images are structs with a field
`bytes`, or plain bytes. Labels are class indices or words. The names of class indices are read from
the metadata that the `datasets` library writes
(https://huggingface.co/docs/datasets/about_dataset_features).
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import pyarrow as pa

from dlkd_core.catalog.architectures.architecture import MAX_CLASSES
from dlkd_core.data.decoding.archive import Member, open_members
from dlkd_core.data.decoding.decoded_dataset import NO_LABEL, DecodedDataset
from dlkd_core.data.decoding.folder_layout import (
    INDEX_DIGITS,
    UNLABELED_FOLDER,
    SplitName,
    choose_splits,
    sort_class_names,
    split_by_name,
)
from dlkd_core.data.decoding.image_files import dataset_from_files
from dlkd_core.data.formats.columnar_files import (
    COLUMNAR_SUFFIXES,
    ColumnarFile,
    open_columnar_file,
    read_errors,
)
from dlkd_core.data.read_options import ReadOptions
from dlkd_core.errors import ArchiveRefused, LayoutInvalid

_LABEL_COLUMNS = ("label", "labels", "fine_label", "target", "class", "class_name", "category")
# Columns that describe an image, and are never its class
_NO_LABEL_COLUMN = re.compile(
    r"(.*_)?(id|ids|idx|index|path|file|filename|file_name|name|url|width|height|size|md5|sha256)"
    r"|__index_level_0__",
    re.IGNORECASE,
)
_MAX_COLUMNS = 1000


class _Columns(NamedTuple):
    images: str
    labels: str | None


def read(path: Path, read_options: ReadOptions) -> DecodedDataset:
    """Read Parquet or Arrow files. The images of a file without a label column are unlabeled."""
    names: list[str] | None = None
    words: set[str] = set()
    largest = NO_LABEL
    rows = Counter[SplitName]()
    for name, table in _open_tables(path, read_options):
        rows[split_by_name(name)] += table.count_rows()
        labels = _find_columns(table.schema, name).labels
        if labels is None:
            continue
        names = names or _class_names(table.schema, labels)
        for batch in table.iter_batches([labels]):
            with read_errors(name):  # words may not be valid UTF-8
                values = [value for value in batch.column(0).to_pylist() if value is not None]
            words.update(value for value in values if isinstance(value, str))
            largest = max(largest, *(int(v) for v in values if not isinstance(v, str)), NO_LABEL)
    if words and largest > NO_LABEL:
        raise LayoutInvalid(
            "The labels are numbers in some files and words in others.",
            hint="Store the same kind of label in all files.",
        )
    if largest >= MAX_CLASSES:
        raise LayoutInvalid(
            f"The largest label is {largest}, so it is not a class index.",
            hint="Number the classes 0, 1, 2 and so on, or remove the column of labels.",
        )
    if names and largest >= len(names):
        raise LayoutInvalid(
            f"The largest label is {largest}, but the files name only {len(names)} classes.",
            hint="Correct the class names in the metadata, or remove the metadata.",
        )
    sorted_words = sort_class_names(words)
    classes = names or sorted_words or [str(label) for label in range(largest + 1)]
    indices = {word: index for index, word in enumerate(sorted_words)}
    splits = choose_splits(rows)
    return dataset_from_files(
        lambda: _iter_images(path, read_options, splits, indices), read_options, classes
    )


def _iter_images(
    path: Path,
    read_options: ReadOptions,
    splits: Mapping[SplitName, SplitName],
    indices: Mapping[str, int],
) -> Iterator[Member]:
    for name, table in _open_tables(path, read_options):
        split = splits[split_by_name(name)]
        columns = _find_columns(table.schema, name)
        smallest = NO_LABEL if columns.labels is None else 0
        for row, (image, value) in enumerate(_iter_rows(table, columns)):
            label = indices.get(value) if isinstance(value, str) else value
            content = image.get("bytes") if isinstance(image, dict) else image
            if split == "test" and (label is None or label < 0):  # labels that are kept secret
                label = smallest = NO_LABEL
            if content is None or label is None or label < smallest:
                raise LayoutInvalid(
                    f"Row {row} of {name} lacks an image or a valid label.",
                    hint="Remove rows that have no image or whose label is missing or negative.",
                )
            if len(content) > read_options.limits.file_bytes:
                raise ArchiveRefused(
                    f"The image in row {row} of {name} is larger than"
                    f" {read_options.limits.file_bytes >> 20} MiB."
                )
            folder = UNLABELED_FOLDER if label == NO_LABEL else f"{label:0{INDEX_DIGITS}}"
            yield PurePosixPath(split, folder, *name.parts, f"{row:09}"), content


def _open_tables(
    path: Path, read_options: ReadOptions
) -> Iterator[tuple[PurePosixPath, ColumnarFile]]:
    for name, stream in open_members(path, read_options.limits):
        is_cache = name.name.startswith("cache-")  # results that `datasets` keeps for itself
        if name.suffix.lower() in COLUMNAR_SUFFIXES and not is_cache:
            with stream.seekable() as file:
                table = open_columnar_file(file, name)
                num_rows, num_columns = table.count_rows(), len(table.schema)
                if num_rows > read_options.limits.max_files or num_columns > _MAX_COLUMNS:
                    raise ArchiveRefused(
                        f"{name} has {num_rows} rows and {num_columns} columns, more than the"
                        f" limits of {read_options.limits.max_files} and {_MAX_COLUMNS}.",
                        hint="Upload fewer images, and only the columns of images and classes.",
                    )
                yield name, table


def _iter_rows(table: ColumnarFile, columns: _Columns) -> Iterator[tuple[Any, int | str | None]]:
    """Yield each image with its label, or with -1 if the file has no label column."""
    names = [name for name in columns if name is not None]
    for batch in table.iter_batches(names):
        images = batch.column(columns.images)
        labels = batch.column(columns.labels) if columns.labels is not None else None
        for row in range(len(images)):
            yield images[row].as_py(), NO_LABEL if labels is None else labels[row].as_py()


def _find_columns(schema: Any, name: PurePosixPath) -> _Columns:
    """Return the image column and, if there is one, the label column.

    Raises:
        LayoutInvalid: the file does not have exactly one image column, or several columns may be
            the labels.
    """
    images = [column.name for column in schema if _is_image(column.type)]
    names = ", ".join(column.name for column in schema)
    if len(images) != 1:
        raise LayoutInvalid(
            f"{name} must have exactly one column of images. Its columns are {names}.",
            hint="Store images as structs with a field `bytes`, and classes, if there are any, as"
            " integers or words in a column named label.",
        )
    if len(set(schema.names)) < len(schema):
        raise LayoutInvalid(f"{name} has several columns of one name. Its columns are {names}.")
    others = [column for column in schema if column.name not in images]
    possible = {column.name.lower(): column.name for column in others if _is_label(column.type)}
    named = [possible[label] for label in _LABEL_COLUMNS if label in possible]
    unknown = [
        column.name for column in others if not _NO_LABEL_COLUMN.fullmatch(column.name.lower())
    ]
    if named or not unknown:
        return _Columns(images[0], named[0] if named else None)
    if len(unknown) == 1 and unknown[0] in possible.values():
        return _Columns(images[0], unknown[0])
    raise LayoutInvalid(
        f"{name} has no clear column of classes. Its columns are {names}.",
        hint="Store the class of each image as an integer or a word in a column named label, or"
        " remove the other columns if the images have no classes.",
    )


def _is_label(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    is_number = pa.types.is_integer(kind) or pa.types.is_boolean(kind)
    return bool(is_number or pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_image(kind: Any) -> bool:
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _class_names(schema: Any, labels: str) -> list[str] | None:
    metadata = (schema.metadata or {}).get(b"huggingface")
    if metadata is None:
        return None
    try:
        names = json.loads(metadata)["info"]["features"][labels]["names"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None  # only some columns have class names
    return [str(name) for name in names] if isinstance(names, list) else None
