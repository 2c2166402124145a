"""Parquet files that are cut, lie about their contents or have the wrong columns."""

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.hostile.case import READY, Case, later
from tests.hostile.cases.samples import make_zip, png

_REFUSED, _UNREADABLE, _LAYOUT = "archive_refused", "archive_unreadable", "layout_invalid"
_IMAGE = "image_unreadable"
_NAME = "train.parquet"
_BYTES = [png(n) for n in range(8)]
_LABELS = [0, 1] * 4


def cases() -> Iterator[Case]:
    yield from _columns()
    yield from _values()
    yield from _files()
    yield from _metadata()


def _case(
    name: str, train: bytes | Callable[[], bytes], *outcomes: str, mentions: str = ""
) -> Case:
    content = later(_make_zip, train)
    return Case("parquet", name, "a.zip", content, outcomes, mentions)


def _make_zip(train: bytes | Callable[[], bytes]) -> bytes:
    content = train if isinstance(train, bytes) else train()
    return make_zip({_NAME: content, "val.parquet": _write(_table())})


def _table(**columns: Any) -> pa.Table:
    return pa.table({"image": pa.array(_BYTES, pa.binary()), "label": _LABELS} | columns)


def _write(table: pa.Table, **options: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream, **options)
    return stream.getvalue()


def _columns() -> Iterator[Case]:
    structs = [{"bytes": content, "path": "x"} for content in _BYTES]
    yield _case("valid", _write(_table()), READY)
    yield _case("valid-structs", _write(_table(image=structs)), READY)
    columns: dict[str, Any] = {
        "image-text": {"image": ["cat"] * 8},
        "image-lists": {"image": [[1, 2]] * 8},
        "image-number": {"image": _LABELS},
        "image-struct-without-bytes": {"image": [{"path": "x"}] * 8},
        "image-struct-nested": {"image": [{"bytes": {"bytes": b"x"}}] * 8},
        "image-list-of-bytes": {"image": [[b"x"]] * 8},
        "two-images": {"other": pa.array(_BYTES, pa.binary())},
        "label-floats": {"label": [0.5] * 8},
        "label-lists": {"label": [[0]] * 8},
        "label-structs": {"label": [{"a": 0}] * 8},
        "label-bytes": {"label": pa.array([b"a"] * 8, pa.binary())},
        "label-nulls": {"label": pa.nulls(8)},
        "label-dates": {"label": pa.array(_LABELS, pa.timestamp("s"))},
        "label-decimals": {"label": pa.array(_LABELS).cast(pa.decimal128(20))},
    }
    for name, change in columns.items():
        yield _case(f"column-{name}", _write(_table(**change)), _LAYOUT, mentions=_NAME)
    odd = {
        "label-bools": pa.array([True, False] * 4),
        "label-uint64": pa.array(_LABELS, pa.uint64()),
        "label-dictionary": pa.array(["0", "1"] * 4).dictionary_encode(),
        "label-large-text": pa.array(["a", "b"] * 4, pa.large_string()),
    }
    for name, column in odd.items():
        yield _case(f"column-{name}", _write(_table(label=column)), READY, _LAYOUT)
    twice = pa.Table.from_arrays(
        [pa.array(_BYTES, pa.binary()), pa.array(_LABELS), pa.array(_LABELS)],
        names=["image", "label", "label"],
    )
    yield _case("column-label-twice", _write(twice), _LAYOUT, _UNREADABLE, mentions=_NAME)
    images = pa.Table.from_arrays(
        [pa.array(_BYTES, pa.binary())] * 2 + [pa.array(_LABELS)], names=["image", "image", "label"]
    )
    yield _case("column-image-twice", _write(images), _LAYOUT, _UNREADABLE, mentions=_NAME)
    yield _case("columns-none", _write(pa.table({})), _LAYOUT, _UNREADABLE, mentions=_NAME)
    yield _case(
        "columns-5000",
        _write(_table(**{f"c{n}": _LABELS for n in range(5000)})),
        _REFUSED,
        mentions="columns",
    )
    nested: Any = 0
    kind = pa.int64()
    for _ in range(60):
        nested, kind = [nested], pa.list_(kind)
    yield _case(
        "column-nested-60",
        _write(_table(extra=pa.array([nested] * 8, kind))),
        _LAYOUT,
        READY,
        _UNREADABLE,
    )
    yield _case(
        "column-name-odd",
        _write(_table(**{"a\0b\nc": _LABELS}).drop(["label"])),
        _LAYOUT,
        READY,
        _UNREADABLE,
    )


def _values() -> Iterator[Case]:
    labels: dict[str, Any] = {
        "null": [0, None] * 4,
        "negative": [0, -1] * 4,
        "million": [0, 10**6] * 4,
        "huge": [0, 2**62] * 4,
        "uint64-max": pa.array([0, 2**64 - 1] * 4, pa.uint64()),
        "empty-text": ["", "a"] * 4,
        "long-text": ["x" * 100_000, "a"] * 4,
        "line-breaks": ["a\nb", "c"] * 4,
        "nul": ["a\0b", "c"] * 4,
    }
    for name, values in labels.items():
        yield _case(f"label-{name}", _write(_table(label=values)), _LAYOUT)
    invalid = pa.Array.from_buffers(
        pa.string(), 8, pa.array([b"\xff\xfe", b"ok"] * 4, pa.binary()).buffers()
    )
    yield _case(
        "label-not-utf8", _write(_table(label=invalid)), _LAYOUT, _UNREADABLE, mentions=_NAME
    )
    yield _case(
        "images-null", _write(_table(image=pa.nulls(8, pa.binary()))), _LAYOUT, mentions="Row 0"
    )
    yield _case(
        "image-null",
        _write(_table(image=pa.array([None, *_BYTES[1:]], pa.binary()))),
        _LAYOUT,
        mentions="Row 0",
    )
    structs = pa.array(
        [{"bytes": None, "path": "x"}] * 8,
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    )
    yield _case("image-bytes-null", _write(_table(image=structs)), _LAYOUT, mentions="Row 0")
    yield _case(
        "image-empty",
        _write(_table(image=pa.array([b""] * 8, pa.binary()))),
        _IMAGE,
        mentions=_NAME,
    )
    yield _case(
        "image-text",
        _write(_table(image=pa.array([b"text"] * 8, pa.binary()))),
        _IMAGE,
        mentions=_NAME,
    )
    yield _case("image-of-100-megabytes", _large_image, _REFUSED, _UNREADABLE, mentions="row 0")
    yield _case("rows-3-million-of-nulls", _many_rows, _REFUSED, mentions=_NAME)
    yield _case("rows-none", _write(_table().slice(0, 0)), _LAYOUT)
    yield _case("one-row-per-group", _write(_table(), row_group_size=1), READY)
    for compression in ("snappy", "gzip", "brotli", "zstd", "lz4", "none"):
        yield _case(f"compression-{compression}", _write(_table(), compression=compression), READY)


def _large_image() -> bytes:
    images = pa.array([bytes(100 << 20), *_BYTES[1:]], pa.binary())
    return _write(_table(image=images), compression="zstd")


def _many_rows() -> bytes:
    count = 3_000_000
    return _write(pa.table({"image": pa.nulls(count, pa.binary()), "label": pa.nulls(count)}))


def _files() -> Iterator[Case]:
    whole = _write(_table())
    for percent in (0, 2, 30, 60, 90, 99):
        yield _case(
            f"cut-at-{percent}-percent",
            whole[: len(whole) * percent // 100],
            _UNREADABLE,
            mentions=_NAME,
        )
    for percent in (1, 10, 30, 50, 65, 75, 80, 85, 90, 95, 99):
        position = len(whole) * percent // 100
        damaged = whole[:position] + b"\xff\x7f" * 6 + whole[position + 12 :]
        yield _case(
            f"damaged-at-{percent}-percent",
            damaged,
            _UNREADABLE,
            _IMAGE,
            _LAYOUT,
            _REFUSED,
            READY,
            mentions="",
        )
    for name, length in {"zero": 0, "huge": 2**31 - 1, "negative": 2**32 - 1}.items():
        footer = length.to_bytes(4, "little")
        yield _case(
            f"footer-length-{name}", whole[:-8] + footer + b"PAR1", _UNREADABLE, mentions=_NAME
        )
    yield _case("magic-only", b"PAR1PAR1", _UNREADABLE, mentions=_NAME)
    yield _case("encrypted-footer", whole[:-4] + b"PARE", _UNREADABLE, mentions=_NAME)
    for name, content in {
        "text": b"hello",
        "empty": b"",
        "csv": b"image,label\n1,2\n",
        "arrow": b"ARROW1\0\0" + bytes(99),
    }.items():
        yield _case(f"{name}-named-parquet", content, _UNREADABLE, mentions=_NAME)


def _metadata() -> Iterator[Case]:
    """The class names that the `datasets` library stores."""

    def features(names: Any) -> bytes:
        return json.dumps({"info": {"features": {"label": {"names": names}}}}).encode()

    documents = {
        "names-too-few": features(["cat"]),
        "names-number": features(7),
        "names-dict": features({"0": "cat"}),
        "names-null": features(None),
        "names-text": features("ab"),
        "names-nested": features([["a"], {"b": 1}]),
        "names-surrogate": features(["\ud800", "b"]),
        "names-long": features(["x" * 100_000, "b"]),
        "names-empty": features([]),
        "not-json": b"{",
        "nested": b"[" * 100_000,
        "number": b"7",
        "not-utf8": b"\xff\xfe",
        "info-list": b'{"info": []}',
    }
    for name, document in documents.items():
        table = _table().replace_schema_metadata({b"huggingface": document})
        yield _case(f"metadata-{name}", _write(table), READY, _LAYOUT)
    mixed = _write(_table(label=["cat", "dog"] * 4))
    yield _case("words-and-numbers", mixed, _LAYOUT)
    unlabeled = _write(_table().drop(["label"]))
    yield _case("train-unlabeled", unlabeled, READY, _LAYOUT, mentions="no labels")
