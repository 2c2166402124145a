"""Safetensors files with hostile headers."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.hostile.case import Case

_REFUSED, _UNREADABLE = "checkpoint_refused", "checkpoint_unreadable"
_UNKNOWN, _NO_FIT = "architecture_unknown", "keys_do_not_fit"
Entry = dict[str, Any]


def cases() -> Iterator[Case]:
    yield from _lengths()
    yield from _headers()
    yield from _spans()
    yield from _shapes()
    yield from _names()
    yield from _large_headers()


def _case(
    name: str, content: bytes | Callable[[Path], object], *outcomes: str, mentions: str = ""
) -> Case:
    return Case(
        "safetensors",
        name,
        "teacher.safetensors",
        content,
        outcomes or (_UNREADABLE,),
        mentions,
        "check_teacher",
    )


def _encode(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def _entry(shape: Any = (2,), offsets: Any = (0, 8), dtype: Any = "F32") -> Entry:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def _lengths() -> Iterator[Case]:
    whole = _encode({"w": _entry()}, bytes(8))
    for count in (1, 4, 8, 9, 20, len(whole) - 8, len(whole) - 1):
        yield _case(f"cut-after-{count}-bytes", whole[:count])
    yield _case("one-byte-too-many", whole + b"\0")
    lengths = {"0": 0, "1": 1, "longer-than-file": 10_000, "limit": 100_000_000, "max": 2**64 - 1}
    for name, length in lengths.items():
        yield _case(f"header-length-{name}", length.to_bytes(8, "little") + whole[8:])


def _headers() -> Iterator[Case]:
    headers = {
        "not-json": b"{not json",
        "cut-json": b'{"w": {"dtype": "F32"',
        "null-bytes": b"{" + bytes(100),
        "not-utf8": b'{"\xff": {}}',
        "utf16": '{"w": 1}'.encode("utf-16"),
        "nested": b'{"w":' + b"[" * 200_000,
        "nested-dicts": b'{"a":' * 50_000,
        "duplicate-keys": b'{"w": {}, "w": {}}',
        "duplicate-inner-keys": b'{"w": {"dtype":"F32","dtype":"F64"}}',
        "huge-number": b'{"w": {"dtype":"F32","shape":[' + b"9" * 10_000 + b"]}}",
        "nan": b'{"w": {"dtype":"F32","shape":[NaN],"data_offsets":[0,8]}}',
    }
    for name, header in headers.items():
        yield _case(f"header-{name}", _encode(header, bytes(8)))
    yield _case("header-empty", _encode({}), _REFUSED, mentions="0 tensors")
    yield _case("header-only-metadata", _encode({"__metadata__": {"a": "b"}}), _REFUSED)
    for name, value in {"null": None, "list": [], "number": 1, "text": "w", "empty": {}}.items():
        yield _case(
            f"entry-{name}", _encode({"odd.weight": value}, bytes(8)), mentions="odd.weight"
        )
    metadata = {"numbers": {"a": 1}, "nested": {"a": {"b": "c"}}, "list": [1], "null": None}
    for name, value in metadata.items():
        yield _case(
            f"metadata-{name}",
            _encode({"__metadata__": value, "w": _entry()}, bytes(8)),
            _UNREADABLE,
            _UNKNOWN,
        )
    untrained = {"untrained": "," * 2_000_000}
    yield _case(
        "metadata-untrained-two-million",
        _encode({"__metadata__": untrained, "w": _entry()}, bytes(8)),
        _REFUSED,
        _UNKNOWN,
    )
    yield _case(
        "metadata-untrained-everything",
        _encode({"__metadata__": {"untrained": "w"}, "w.weight": _entry()}, bytes(8)),
        _REFUSED,
        _UNKNOWN,
    )


def _spans() -> Iterator[Case]:
    offsets = {
        "reversed": (8, 0),
        "negative": (-8, 0),
        "beyond-file": (0, 800),
        "huge": (2**63, 2**63 + 8),
        "too-short": (0, 4),
        "too-long": (0, 12),
        "fractions": (0.0, 8.0),
        "texts": ("0", "8"),
        "bools": (False, 8),
        "one": (0,),
        "three": (0, 4, 8),
        "null": None,
        "number": 8,
        "nested": ([0], [8]),
    }
    for name, value in offsets.items():
        yield _case(
            f"offsets-{name}",
            _encode({"odd.weight": _entry(offsets=value)}, bytes(8)),
            mentions="odd.weight",
        )
    pairs = {
        "overlapping": ((0, 8), (4, 12)),
        "same": ((0, 8), (0, 8)),
        "gap": ((0, 8), (16, 24)),
        "late-start": ((8, 16), (16, 24)),
    }
    for name, (first, second) in pairs.items():
        header = {"a": _entry(offsets=first), "odd.weight": _entry(offsets=second)}
        yield _case(f"offsets-{name}", _encode(header, bytes(24)))
    for dtype in ("F128", "F8_E4M3", "f32", "C64", "STRING", "", "I4", "U16"):
        yield _case(
            f"dtype-{dtype or 'empty'}",
            _encode({"odd.weight": _entry(dtype=dtype)}, bytes(8)),
            _REFUSED,
            mentions="odd.weight",
        )
    for name, odd in {"null": None, "list": ["F32"], "number": 4, "dict": {}}.items():
        yield _case(
            f"dtype-{name}",
            _encode({"odd.weight": _entry(dtype=odd)}, bytes(8)),
            _UNREADABLE,
            _REFUSED,
            mentions="odd.weight",
        )


def _shapes() -> Iterator[Case]:
    shapes: dict[str, Any] = {
        "negative": [-2],
        "negative-pair": [-1, -2],
        "fractions": [2.0],
        "texts": ["2"],
        "bools": [True, 2],
        "null": None,
        "number": 2,
        "text": "2",
        "dict": {"2": 1},
        "too-small": [1],
        "too-large": [4],
        "nested": [[2]],
        "huge": [2**62],
        "overflowing": [2**32, 2**32],
    }
    for name, shape in shapes.items():
        yield _case(
            f"shape-{name}",
            _encode({"odd.weight": _entry(shape)}, bytes(8)),
            *(_UNREADABLE, _REFUSED),
            mentions="odd.weight",
        )
    dimensions = {"9": [1] * 8 + [2], "1000": [1] * 999 + [2], "100000": [1] * 99_999 + [2]}
    for name, shape in dimensions.items():
        yield _case(
            f"dimensions-{name}",
            _encode({"odd.weight": _entry(shape)}, bytes(8)),
            _REFUSED,
            _UNREADABLE,
            mentions="odd.weight",
        )
    empty = {
        "0": [0],
        "huge": [2**40, 0],
        "max": [2**62, 0],
        "huge-numbers": [10**4000] * 200 + [0],
    }
    for name, shape in empty.items():
        header = {"conv1.weight": _entry(), "odd.weight": _entry(shape, (8, 8))}
        yield _case(
            f"no-values-{name}",
            _encode(header, bytes(8)),
            _REFUSED,
            _UNREADABLE,
            _UNKNOWN,
            mentions="odd.weight",
        )
    nan = {"odd.weight": _entry()}
    yield _case("nan", _encode(nan, b"\xff" * 8), _REFUSED, mentions="odd.weight")
    yield _case("infinity", _encode(nan, b"\0\0\x80\x7f" * 2), _REFUSED, mentions="odd.weight")
    bools = {"odd.weight": _entry([8], dtype="BOOL")}
    yield _case("bools-of-255", _encode(bools, b"\xff" * 8), _REFUSED, _UNKNOWN, _UNREADABLE)


def _names() -> Iterator[Case]:
    names = {
        "empty": "",
        "surrogate": "\ud800",
        "nul": "a\0b",
        "line-breaks": "a\nb",
        "long": "w" * 1_000_000,
        "dots": "....",
        "wrapper": "module",
        "slashes": "../../etc/passwd",
    }
    for name, text in names.items():
        yield _case(
            f"name-{name}", _encode({text: _entry()}, bytes(8)), _UNKNOWN, _UNREADABLE, _REFUSED
        )


def _large_headers() -> Iterator[Case]:
    def write_padded(path: Path) -> None:
        path.write_bytes(_encode(b"{" + b" " * 99_000_000 + b"}"))

    def write_entries(path: Path) -> None:
        header = {f"w{n}": _entry((0,), (0, 0)) for n in range(300_000)}
        path.write_bytes(_encode(header))

    def write_many(path: Path) -> None:
        header = {f"w{n}.weight": _entry((1,), (4 * n, 4 * n + 4)) for n in range(20_000)}
        path.write_bytes(_encode(header, bytes(80_000)))

    yield _case("header-99-mb-of-spaces", write_padded, _REFUSED, _UNREADABLE, mentions="header")
    yield _case("tensors-300000", write_entries, _REFUSED, _UNREADABLE)
    yield _case("tensors-20000", write_many, _REFUSED, _UNKNOWN)
