"""Parquet files with an image column and, optionally, a label column, as on the Hugging Face Hub.

The columns are identified by their types. Encoded images are structs with a field `bytes`, or plain
bytes. Labels are integers. Class names are read from the metadata that the `datasets` library
writes (https://huggingface.co/docs/datasets/about_dataset_features).
"""

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from dlkd_core.data.decoding.archive import Member, open_members
from dlkd_core.data.decoding.decoded_dataset import NO_LABEL, DecodedDataset
from dlkd_core.data.decoding.folder_layout import INDEX_DIGITS, UNLABELED_FOLDER, split_by_name
from dlkd_core.data.decoding.image_files import dataset_from_files
from dlkd_core.data.read_options import ReadOptions
from dlkd_core.errors import ArchiveUnreadable, LayoutInvalid

_LABEL_COLUMNS = ("label", "labels", "fine_label", "target", "class")
_BATCH_ROWS = 64  # small, because photographs are large
_BUFFER_BYTES = 1 << 20


class _Columns(NamedTuple):
    images: str
    labels: str | None


def read(path: Path, read_options: ReadOptions) -> DecodedDataset:
    """Read Parquet files. The images of a file without a label column are unlabeled."""
    classes, largest = None, NO_LABEL
    for name, table in _open_tables(path, read_options):
        labels = _find_columns(table.schema_arrow, name).labels
        if labels is not None:
            classes = classes or _class_names(table.schema_arrow, labels)
            for batch in table.iter_batches(_BATCH_ROWS, columns=[labels]):
                largest = max([largest, *(label or 0 for label in batch.column(0).to_pylist())])
    numbers = [str(label) for label in range(largest + 1)]
    return dataset_from_files(
        lambda: _iter_images(path, read_options), read_options, classes or numbers
    )


def _iter_images(path: Path, read_options: ReadOptions) -> Iterator[Member]:
    for name, table in _open_tables(path, read_options):
        split = split_by_name(str(name))
        columns = _find_columns(table.schema_arrow, name)
        smallest = NO_LABEL if columns.labels is None else 0
        for row, (image, label) in enumerate(_iter_rows(table, columns)):
            content = image.get("bytes") if isinstance(image, dict) else image
            if content is None or label is None or label < smallest:
                raise LayoutInvalid(
                    f"Row {row} of {name} lacks an image or a valid label.",
                    hint="Remove rows that have no image or whose label is missing or negative.",
                )
            folder = UNLABELED_FOLDER if columns.labels is None else f"{label:0{INDEX_DIGITS}}"
            yield PurePosixPath(split, folder, *name.parts, f"{row:09}"), content


def _open_tables(
    path: Path, read_options: ReadOptions
) -> Iterator[tuple[PurePosixPath, pq.ParquetFile]]:
    for name, stream in open_members(path, read_options.limits):
        if name.suffix.lower() == ".parquet":
            with stream.seekable() as file:
                try:
                    yield name, pq.ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False)
                except pa.ArrowException as error:
                    raise ArchiveUnreadable(f"{name} cannot be read: {error}") from error


def _iter_rows(table: pq.ParquetFile, columns: _Columns) -> Iterator[tuple[Any, int | None]]:
    """Yield each image with its label, or with -1 if the file has no label column."""
    names = [name for name in columns if name is not None]
    for batch in table.iter_batches(_BATCH_ROWS, columns=names):
        images = batch.column(columns.images)
        labels = batch.column(columns.labels) if columns.labels is not None else None
        for row in range(len(images)):
            yield images[row].as_py(), NO_LABEL if labels is None else labels[row].as_py()


def _find_columns(schema: Any, name: PurePosixPath) -> _Columns:
    """Return the image column and, if there is one, the label column.

    Raises:
        LayoutInvalid: the file does not have exactly one image column.
    """
    images = [column.name for column in schema if _is_image(column.type)]
    integers = [column.name for column in schema if pa.types.is_integer(column.type)]
    labels = [column for column in integers if column in _LABEL_COLUMNS] or integers
    if len(images) != 1:
        raise LayoutInvalid(
            f"{name} must have exactly one column of images. "
            f"Its columns are {', '.join(column.name for column in schema)}.",
            hint="Store images as structs with a field `bytes`, and class indices, if there are "
            "any, as integers in a column named label.",
        )
    return _Columns(images[0], labels[0] if labels else None)


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
    except (ValueError, KeyError, TypeError):  # only some columns have class names
        return None
    return [str(name) for name in names]
