"""Parquet with a column of encoded images and, where they have labels, one of these, as on the Hugging Face hub.

The columns are told by their types: images are structs with `bytes` (or plain bytes), labels are integers; names of classes come
from the metadata that the `datasets` library leaves (https://huggingface.co/docs/datasets/about_dataset_features).
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from dlkd_core.data.decoded import NO_LABEL, Decoded
from dlkd_core.data.encoded import from_members
from dlkd_core.data.layout import UNLABELLED
from dlkd_core.data.reading import Reading
from dlkd_core.data.source import Member, streams
from dlkd_core.errors import ArchiveUnreadable, LayoutInvalid

_VAL = re.compile(r"val|test", re.IGNORECASE)
_DIGITS = 8  # of the folders that stand for class indices
_ROWS = 64  # at a time: photographs are large
_BUFFER = 1 << 20


def read(path: Path, reading: Reading) -> Decoded:
    """Labels are the numbers in the column; files without one hold images without labels."""
    classes, largest = None, NO_LABEL
    for name, table in _tables(path, reading):
        columns = _columns(table.schema_arrow, name)
        if columns.labels is not None:
            classes = classes or _class_names(table.schema_arrow, columns.labels)
            found = table.iter_batches(_ROWS, columns=[columns.labels])
            largest = max(largest, *(label or 0 for batch in found for label in batch.column(0).to_pylist()))
    numbers = [str(label) for label in range(largest + 1)]
    return from_members(lambda: _samples(path, reading), reading, classes or numbers)


def _samples(path: Path, reading: Reading) -> Iterator[Member]:
    for name, table in _tables(path, reading):
        split, columns = "val" if _VAL.search(str(name)) else "train", _columns(table.schema_arrow, name)
        for row, (image, label) in enumerate(_rows(table, columns)):
            content = image.get("bytes") if isinstance(image, dict) else image
            if content is None or label is None or label < NO_LABEL + (columns.labels is not None):
                raise LayoutInvalid(f"Row {row} of {name} has no image or no label.", hint="Drop such rows.")
            folder = UNLABELLED if columns.labels is None else f"{label:0{_DIGITS}}"
            yield PurePosixPath(split, folder, *name.parts, f"{row:09}"), content


def _tables(path: Path, reading: Reading) -> Iterator[tuple[PurePosixPath, pq.ParquetFile]]:
    for name, stream in streams(path, reading.limits):
        if name.suffix.lower() == ".parquet":
            with stream.seekable() as file:
                try:
                    yield name, pq.ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False)
                except pa.ArrowException as error:
                    raise ArchiveUnreadable(f"{name} cannot be read: {error}") from error


class _Columns(NamedTuple):
    images: str
    labels: str | None


def _rows(table: pq.ParquetFile, columns: _Columns) -> Iterator[tuple[Any, int | None]]:
    """Images with their labels; -1 where the file has none."""
    for batch in table.iter_batches(_ROWS, columns=[name for name in columns if name is not None]):
        images = batch.column(columns.images)
        labels = batch.column(columns.labels) if columns.labels is not None else None
        for row in range(len(images)):
            yield images[row].as_py(), NO_LABEL if labels is None else labels[row].as_py()


def _columns(schema: Any, name: PurePosixPath) -> _Columns:
    """The column of images, and the one of labels where there is one; `LayoutInvalid` where images are not in one column."""
    images = [column.name for column in schema if _is_image(column.type)]
    labels = [column.name for column in schema if pa.types.is_integer(column.type)]
    likely = [label for label in labels if label in ("label", "labels", "fine_label", "target", "class")] or labels
    if len(images) != 1:
        raise LayoutInvalid(
            f"{name} has the columns {', '.join(column.name for column in schema)}.",
            hint="One column must hold images (struct with bytes); one called label their class indices, where they have labels.",
        )
    return _Columns(images[0], likely[0] if likely else None)


def _is_image(kind: Any) -> bool:
    inner = kind.field("bytes").type if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0 else kind
    return bool(pa.types.is_binary(inner) or pa.types.is_large_binary(inner))


def _class_names(schema: Any, labels: str) -> list[str] | None:
    told = (schema.metadata or {}).get(b"huggingface")
    if told is None:
        return None
    try:
        names = json.loads(told)["info"]["features"][labels]["names"]
    except (ValueError, KeyError, TypeError):  # other columns are not described like this
        return None
    return [str(name) for name in names]
