"""Parquet with a column of encoded images and one of labels, as on the Hugging Face hub.

The columns are told by their types: images are structs with `bytes` (or plain bytes), labels are integers; names of classes come
from the metadata that the `datasets` library leaves (https://huggingface.co/docs/datasets/about_dataset_features).
"""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dlkd_core.data.decoded import Decoded
from dlkd_core.data.encoded import from_members
from dlkd_core.data.limits import Limits
from dlkd_core.data.source import Member, members
from dlkd_core.errors import ArchiveUnreadable, LayoutInvalid

_VAL = re.compile(r"val|test", re.IGNORECASE)
_DIGITS = 8  # of the folders that stand for class indices
_ROWS = 1000  # at a time


def read(path: Path, limits: Limits) -> Decoded:
    """Labels are the numbers in the column."""
    classes, largest = None, 0
    for name, table in _tables(path, limits):
        images, labels = _columns(table.schema_arrow, name)
        classes = classes or _class_names(table.schema_arrow, labels)
        largest = max(largest, *(max(batch[1].to_pylist(), default=0) for batch in _batches(table, images, labels)))
    return from_members(lambda: _samples(path, limits), limits, classes or [str(label) for label in range(largest + 1)])


def _samples(path: Path, limits: Limits) -> Iterator[Member]:
    for name, table in _tables(path, limits):
        split = "val" if _VAL.search(str(name)) else "train"
        row = 0
        for images, labels in _batches(table, *_columns(table.schema_arrow, name)):
            for image, label in zip(images.to_pylist(), labels.to_pylist(), strict=True):
                content = image.get("bytes") if isinstance(image, dict) else image
                if content is None or label is None or label < 0:
                    raise LayoutInvalid(f"Row {row} of {name} has no image or no label.", hint="Drop such rows.")
                yield PurePosixPath(split, f"{label:0{_DIGITS}}", *name.parts, f"{row:09}"), content
                row += 1


def _tables(path: Path, limits: Limits) -> Iterator[tuple[PurePosixPath, pq.ParquetFile]]:
    for name, content in members(path, limits.of_containers()):
        if name.suffix.lower() == ".parquet":
            try:
                yield name, pq.ParquetFile(io.BytesIO(content))
            except pa.ArrowException as error:
                raise ArchiveUnreadable(f"{name} cannot be read: {error}") from error


def _batches(table: pq.ParquetFile, images: str, labels: str) -> Iterator[tuple[Any, Any]]:
    for batch in table.iter_batches(_ROWS, columns=[images, labels]):
        yield batch.column(images), batch.column(labels)


def _columns(schema: Any, name: PurePosixPath) -> tuple[str, str]:
    """The names of the columns of images and of labels; `LayoutInvalid` where it is not one of each."""
    images = [column.name for column in schema if _is_image(column.type)]
    labels = [column.name for column in schema if pa.types.is_integer(column.type)]
    likely = [label for label in labels if label in ("label", "labels", "fine_label", "target", "class")] or labels
    if len(images) != 1 or not likely:
        raise LayoutInvalid(
            f"{name} has the columns {', '.join(column.name for column in schema)}.",
            hint="One column must hold images (struct with bytes), and one called label their class indices.",
        )
    return images[0], likely[0]


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
