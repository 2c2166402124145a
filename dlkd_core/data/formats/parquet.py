"""Parquet files with an image column and, optionally, a label column, as on the Hugging Face Hub.

The columns are identified by their names and types. Encoded images are structs with a field
`bytes`, or plain bytes. Labels are class indices or words. The names of class indices are read from
the metadata that the `datasets` library writes
(https://huggingface.co/docs/datasets/about_dataset_features).
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from dlkd_core.catalog.architectures.architecture import MAX_CLASSES
from dlkd_core.data.decoding.archive import Member, open_members
from dlkd_core.data.decoding.decoded_dataset import NO_LABEL, DecodedDataset
from dlkd_core.data.decoding.folder_layout import (
    INDEX_DIGITS,
    UNLABELED_FOLDER,
    NamedSplit,
    SplitName,
    choose_splits,
    split_by_name,
)
from dlkd_core.data.decoding.image_files import dataset_from_files
from dlkd_core.data.read_options import ReadOptions
from dlkd_core.errors import ArchiveRefused, ArchiveUnreadable, LayoutInvalid

_LABEL_COLUMNS = ("label", "labels", "fine_label", "target", "class", "class_name", "category")
# Columns that describe an image, and are never its class
_NO_LABEL_COLUMN = re.compile(
    r"(.*_)?(id|ids|idx|index|path|file|filename|file_name|name|url|width|height|size|md5|sha256)"
    r"|__index_level_0__",
    re.IGNORECASE,
)
# pyarrow's own errors, and what it raises for damaged pages, invalid text and huge allocations
_PARQUET_ERRORS = (pa.ArrowException, OSError, UnicodeDecodeError, MemoryError)
_MAX_COLUMNS = 1000
_BATCH_ROWS = 64  # small, because photographs are large
_BUFFER_BYTES = 1 << 20


class _Columns(NamedTuple):
    images: str
    labels: str | None


def read(path: Path, read_options: ReadOptions) -> DecodedDataset:
    """Read Parquet files. The images of a file without a label column are unlabeled."""
    names: list[str] | None = None
    words: set[str] = set()
    largest = NO_LABEL
    rows = Counter[NamedSplit]()
    for name, table in _open_tables(path, read_options):
        rows[split_by_name(name)] += table.metadata.num_rows
        labels = _find_columns(table.schema_arrow, name).labels
        if labels is None:
            continue
        names = names or _class_names(table.schema_arrow, labels)
        for batch in _iter_batches(table, [labels], name):
            with _parquet_errors(name):  # words may not be valid UTF-8
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
    classes = names or sorted(words) or [str(label) for label in range(largest + 1)]
    indices = {word: index for index, word in enumerate(sorted(words))}
    splits, notices = choose_splits(rows)
    return dataset_from_files(
        lambda: _iter_images(path, read_options, splits, indices),
        read_options,
        classes,
        notices=notices,
    )


def _iter_images(
    path: Path,
    read_options: ReadOptions,
    splits: Mapping[NamedSplit, SplitName],
    indices: Mapping[str, int],
) -> Iterator[Member]:
    for name, table in _open_tables(path, read_options):
        split = splits.get(split_by_name(name))
        if split is None:
            continue
        columns = _find_columns(table.schema_arrow, name)
        smallest = NO_LABEL if columns.labels is None else 0
        for row, (image, value) in enumerate(_iter_rows(table, columns, name)):
            label = indices.get(value) if isinstance(value, str) else value
            content = image.get("bytes") if isinstance(image, dict) else image
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
            folder = UNLABELED_FOLDER if columns.labels is None else f"{label:0{INDEX_DIGITS}}"
            yield PurePosixPath(split, folder, *name.parts, f"{row:09}"), content


def _open_tables(
    path: Path, read_options: ReadOptions
) -> Iterator[tuple[PurePosixPath, pq.ParquetFile]]:
    for name, stream in open_members(path, read_options.limits):
        if name.suffix.lower() == ".parquet":
            with stream.seekable() as file:
                with _parquet_errors(name):
                    table = pq.ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False)
                    num_rows = table.metadata.num_rows
                    num_columns = len(table.schema_arrow)
                if num_rows > read_options.limits.max_files or num_columns > _MAX_COLUMNS:
                    raise ArchiveRefused(
                        f"{name} has {num_rows} rows and {num_columns} columns, more than the"
                        f" limits of {read_options.limits.max_files} and {_MAX_COLUMNS}.",
                        hint="Upload fewer images, and only the columns of images and classes.",
                    )
                yield name, table


@contextmanager
def _parquet_errors(name: PurePosixPath) -> Iterator[None]:
    try:
        yield
    except _PARQUET_ERRORS as error:
        raise ArchiveUnreadable(
            f"{name} cannot be read: {error}", hint="Write the file again."
        ) from error


def _iter_batches(
    table: pq.ParquetFile, columns: list[str], name: PurePosixPath
) -> Iterator[pa.RecordBatch]:
    with _parquet_errors(name):
        batches = table.iter_batches(_BATCH_ROWS, columns=columns)
    while True:
        with _parquet_errors(name):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


def _iter_rows(
    table: pq.ParquetFile, columns: _Columns, name: PurePosixPath
) -> Iterator[tuple[Any, int | str | None]]:
    """Yield each image with its label, or with -1 if the file has no label column."""
    names = [column for column in columns if column is not None]
    for batch in _iter_batches(table, names, name):
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
