"""NumPy archives, IDX files and binary CIFAR files with hostile headers and values."""

import gzip
import io
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.hostile.case import READY, Case, later
from tests.hostile.cases.samples import make_zip

_REFUSED, _UNREADABLE, _LAYOUT = "archive_refused", "archive_unreadable", "layout_invalid"
_LARGE = "dataset_too_large"
_LABELS = np.array([0, 1] * 4)
_IMAGES = np.random.default_rng(0).integers(0, 256, (8, 6, 6, 3), np.uint8)
_VALID: dict[str, Any] = {
    "train_images": _IMAGES,
    "train_labels": _LABELS,
    "val_images": _IMAGES[:4],
    "val_labels": _LABELS[:4],
}


def cases() -> Iterator[Case]:
    yield from _images()
    yield from _labels()
    yield from _npz_files()
    yield from _idx_files()
    yield from _cifar_files()


def _case(
    kind: str,
    name: str,
    content: bytes | Callable[[Path], object],
    *outcomes: str,
    mentions: str = "",
    filename: str = "a.npz",
) -> Case:
    return Case(kind, name, filename, content, outcomes, mentions)


def _npz(changes: Mapping[str, Any], *, without: tuple[str, ...] = ()) -> bytes:
    stream = io.BytesIO()
    arrays = {name: array for name, array in (_VALID | changes).items() if name not in without}
    np.savez(stream, **arrays)
    return stream.getvalue()


def _images() -> Iterator[Case]:
    strange: dict[str, Any] = {
        "float": _IMAGES.astype(np.float32),
        "int64": _IMAGES.astype(np.int64),
        "bool": _IMAGES > 9,
        "complex": _IMAGES.astype(np.complex64),
        "objects": np.array([None] * 8, object),
        "strings": np.array(["cat"] * 8),
        "bytes": np.array([b"cat"] * 8),
        "dates": np.zeros(8, "M8[s]"),
        "structured": np.zeros((8, 6, 6), [("r", "u1"), ("g", "u1")]),
        "void": np.zeros((8, 6, 6), "V3"),
        "scalar": np.uint8(3),
        "vector": np.zeros(8, np.uint8),
        "matrix": np.zeros((8, 6), np.uint8),
        "5-dimensions": np.zeros((8, 1, 3, 6, 6), np.uint8),
        "2-channels": np.zeros((8, 6, 6, 2), np.uint8),
        "no-images": np.zeros((0, 6, 6, 3), np.uint8),
        "no-height": np.zeros((8, 0, 6, 3), np.uint8),
        "no-width": np.zeros((8, 6, 0, 3), np.uint8),
        "no-channels": np.zeros((8, 6, 6, 0), np.uint8),
        "too-many": np.zeros((9, 6, 6, 3), np.uint8),
        "32-dimensions": np.zeros([1] * 32, np.uint8),
    }
    for name, array in strange.items():
        yield _case(
            "arrays",
            f"images-{name}",
            _npz({"train_images": array}),
            _LAYOUT,
            _UNREADABLE,
            mentions="train",
        )
    odd = {
        "fortran-order": np.asfortranarray(_IMAGES),
        "gray": _IMAGES[..., 0],
        "channels-first": _IMAGES.transpose(0, 3, 1, 2),
        "1-channel": _IMAGES[..., :1],
    }
    for name, array in odd.items():
        yield _case(
            "arrays",
            f"images-{name}",
            _npz({"train_images": array, "val_images": array[:4]}),
            READY,
        )
    other_size = np.zeros((4, 9, 9, 3), np.uint8)
    yield _case(
        "arrays", "images-of-two-sizes", _npz({"val_images": other_size}), _LAYOUT, mentions="9 x 9"
    )
    yield _case("arrays", "images-missing", _npz({}, without=("train_images",)), _LAYOUT)
    yield _case(
        "arrays",
        "val-missing",
        _npz({}, without=("val_images", "val_labels")),
        READY,
        mentions="held out",
    )
    yield _case("arrays", "val-labels-missing", _npz({}, without=("val_labels",)), _LAYOUT)
    yield _case(
        "arrays",
        "labels-missing",
        _npz({}, without=("val_labels", "train_labels")),
        READY,
        mentions="label",
    )
    test = {"test_images": _IMAGES, "test_labels": _LABELS}
    yield _case(
        "arrays",
        "test-beside-val",
        _npz(test),
        READY,
    )


def _labels() -> Iterator[Case]:
    strange: dict[str, Any] = {
        "negative": _LABELS - 1,
        "fractions": _LABELS + 0.5,
        "nan": np.array([np.nan, 1.0] * 4),
        "infinity": np.array([np.inf, 1.0] * 4),
        "huge": _LABELS * 2**61,
        "million": _LABELS * 10**6,
        "billions": _LABELS * 10**12,
        "complex": _LABELS + 1j,
        "strings": np.array(["cat", "dog"] * 4),
        "objects": np.array([None] * 8, object),
        "structured": np.zeros(8, [("a", "i4")]),
        "dates": np.zeros(8, "M8[s]"),
        "uint64-max": np.array([0, 2**64 - 1] * 4, np.uint64),
        "too-few": _LABELS[:7],
        "too-many": np.tile(_LABELS, 2),
        "none": _LABELS[:0],
        "scalar": np.int64(1),
        "one-hot": np.eye(2)[_LABELS],
        "only-one-class": _LABELS * 0,
        "class-missing-in-val": _LABELS + 2 * (np.arange(8) == 7),
        "void": np.zeros(8, "V8"),
    }
    for name, array in strange.items():
        yield _case("arrays", f"labels-{name}", _npz({"train_labels": array}), _LAYOUT, _UNREADABLE)
    odd = {
        "column": _LABELS[:, None],
        "float": _LABELS * 1.0,
        "bool": _LABELS == 1,
        "big-endian": _LABELS.astype(">i4"),
    }
    for name, array in odd.items():
        yield _case("arrays", f"labels-{name}", _npz({"train_labels": array}), READY)
    names: dict[str, Any] = {
        "too-few": ["cat"],
        "too-many": ["a", "b", "c"],
        "matrix": [["a", "b"], ["c", "d"]],
        "equal": ["cat", "cat"],
        "empty": [],
        "long": ["x" * 10_000, "y"],
        "line-breaks": ["a\nb", "c"],
        "surrogate": ["\udc80", "b"],
        "nul": ["a\0b", "c"],
        "objects": np.array([None, None]),
    }
    for name, values in names.items():
        outcomes = (READY,) if name in {"equal", "empty"} else (_LAYOUT, _UNREADABLE)
        yield _case("arrays", f"classes-{name}", _npz({"classes": np.array(values)}), *outcomes)
    yield _case("arrays", "classes-of-numbers", _npz({"classes": np.array([7, 9])}), READY)
    yield _case("arrays", "classes-of-one-text", _npz({"classes": np.array("ab")}), _LAYOUT)


def _npz_files() -> Iterator[Case]:
    whole = _npz({})
    for percent in (5, 50, 95):
        yield _case(
            "arrays",
            f"npz-cut-at-{percent}-percent",
            whole[: len(whole) * percent // 100],
            _UNREADABLE,
        )
    headers = {
        "gigabytes": "{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 1000, 1000), }",
        "terabytes": "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }",
        "overflow": "{'descr': '|u1', 'fortran_order': False, 'shape': (4294967296, 4294967296), }",
        "negative": "{'descr': '|u1', 'fortran_order': False, 'shape': (-8, 6, 6, 3), }",
        "zero-bytes": "{'descr': '|V0', 'fortran_order': False, 'shape': (1000000000000,), }",
        "wide-type": "{'descr': '|V2000000000', 'fortran_order': False, 'shape': (8,), }",
        "no-shape": "{'descr': '|u1', 'fortran_order': False}",
        "not-a-dict": "[1, 2]",
        "code": "__import__('os').getcwd()",
        "nested": "(" * 5000,
        "cut": "{'descr': ",
        "object": "{'descr': '|O', 'fortran_order': False, 'shape': (8,), }",
        "type-unknown": "{'descr': 'xyz', 'fortran_order': False, 'shape': (8,), }",
        "type-nested": "{'descr': "
        + "[('a'," * 50
        + "'u1'"
        + ")]" * 50
        + ", 'fortran_order': False, 'shape': (8,), }",
        "subarray": "{'descr': ('u1', (100000, 1000000)), 'fortran_order': False, 'shape': (8,), }",
    }
    for name, text in headers.items():
        content = make_zip(_npy_members() | {"train_images.npy": _npy(text)})
        yield _case(
            "arrays", f"header-{name}", content, _UNREADABLE, _LAYOUT, mentions="train_images"
        )
        single = make_zip(
            {f"{key[:-4]}.npy": value for key, value in _npy_members().items()}
            | {"train_images.npy": _npy(text)}
        )
        yield _case(
            "arrays",
            f"header-npy-{name}",
            single,
            _UNREADABLE,
            _LAYOUT,
            mentions="train_images",
            filename="a.zip",
        )
    yield _case(
        "arrays",
        "header-version-9",
        make_zip(_npy_members() | {"train_images.npy": b"\x93NUMPY\x09\0" + bytes(99)}),
        _UNREADABLE,
        mentions="train_images",
    )
    yield _case(
        "arrays",
        "member-text",
        make_zip(_npy_members() | {"train_images.npy": b"text"}),
        _UNREADABLE,
        mentions="train_images",
    )
    yield _case(
        "arrays",
        "member-pickle",
        make_zip(_npy_members() | {"train_images.npy": b"\x80\x04K\x01."}),
        _UNREADABLE,
        mentions="train_images",
    )
    yield _case("arrays", "bomb", later(_bomb), _REFUSED, mentions="train_images")
    nested = later(lambda: make_zip({"a.npz": _bomb()}))
    yield _case(
        "arrays", "bomb-in-a-zip", nested, _REFUSED, mentions="train_images", filename="a.zip"
    )
    two = make_zip({"a.npz": whole, "b.npz": whole})
    yield _case("arrays", "two-npz-files", two, _LAYOUT, mentions="train_images", filename="a.zip")
    yield _case("arrays", "npz-in-a-zip", make_zip({"a.npz": whole}), READY, filename="a.zip")
    yield _case("arrays", "text-named-npz", b"hello\n" * 50, _UNREADABLE)
    yield _case(
        "arrays",
        "text-named-npz-in-a-zip",
        make_zip({"a.npz": b"hello"}),
        _UNREADABLE,
        mentions="a.npz",
        filename="a.zip",
    )
    for name, mode in {"links": 0o120777}.items():
        stream = io.BytesIO(make_zip(_npy_members()))
        with zipfile.ZipFile(stream, "a") as archive:
            info = zipfile.ZipInfo("more.npy")
            info.external_attr = mode << 16
            archive.writestr(info, "/etc/passwd")
        yield _case("arrays", f"member-{name}", stream.getvalue(), _REFUSED, mentions="more.npy")


def _bomb() -> bytes:
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (10000, 100, 100, 3), }"
    array = _npy(header) + bytes(300_000_000)
    return make_zip(_npy_members() | {"train_images.npy": array}, zipfile.ZIP_DEFLATED)


def _npy(header: str) -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text


def _npy_members() -> dict[str, bytes]:
    members = {}
    for name, array in _VALID.items():
        stream = io.BytesIO()
        np.save(stream, array)
        members[f"{name}.npy"] = stream.getvalue()
    return members


def _idx(*sides: int, data: bytes | None = None, kind: int = 8) -> bytes:
    content = bytes((0, 0, kind, len(sides))) + struct.pack(f">{len(sides)}I", *sides)
    return content + (bytes(int(np.prod(sides, dtype=object))) if data is None else data)


def _idx_files() -> Iterator[Case]:
    images, labels = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
    pixels = np.random.default_rng(0).bytes(8 * 36)
    valid = {images: _idx(8, 6, 6, data=pixels), labels: _idx(8, data=bytes(_LABELS.tolist()))}
    changes: dict[str, dict[str, bytes]] = {
        "more-than-data": {images: _idx(9, 6, 6, data=bytes(288))},
        "less-than-data": {images: _idx(7, 6, 6, data=bytes(288))},
        "terabytes": {images: _idx(2**20, 2**10, 2**10, data=b"")},
        "overflow": {images: _idx(2**32 - 1, 2**32 - 1, 2**32 - 1, data=b"")},
        "overflow-to-zero": {images: _idx(2**31, 2**31, 4, data=b"")},
        "255-dimensions": {images: _idx(*[1] * 255)},
        "no-dimensions": {images: _idx(data=b"")},
        "cut-header": {images: _idx(8, 6, 6, data=b"")[:9]},
        "floats": {images: _idx(8, 6, 6, kind=13)},
        "empty": {images: b""},
        "text": {images: b"hello"},
        "one-dimension": {images: _idx(8)},
        "no-images": {images: _idx(0, 6, 6)},
        "no-pixels": {images: _idx(8, 0, 0)},
        "labels-of-3-dimensions": {labels: _idx(8, 1, 1)},
        "labels-of-8-by-2": {labels: _idx(8, 2)},
        "labels-too-few": {labels: _idx(7)},
        "labels-of-0": {labels: _idx(0)},
        "gzip-cut": {f"{images}.gz": gzip.compress(valid[images])[:-9]},
        "gzip-text": {f"{images}.gz": b"hello"},
        "twice": {f"{images}.gz": gzip.compress(valid[images])},
        "test-and-t10k": {
            f"{s}-{k}-idx{d}-ubyte": valid[images if d == 3 else labels]
            for s in ("test", "t10k")
            for k, d in (("images", 3), ("labels", 1))
        },
    }
    for name, change in changes.items():
        yield _case(
            "idx",
            name,
            make_zip(valid | change),
            _UNREADABLE,
            _LAYOUT,
            mentions="train" if "test" not in name else "t10k",
            filename="a.zip",
        )
    yield _case("idx", "valid", make_zip(valid), READY, filename="a.zip")
    bomb = later(lambda: make_zip({f"{images}.gz": gzip.compress(_idx(10_000, 170, 170))}))
    yield _case("idx", "gzip-bomb", bomb, _REFUSED, mentions=images, filename="a.zip")
    missing = make_zip({images: valid[images]})
    yield _case("idx", "labels-missing", missing, _LAYOUT, filename="a.zip")


def _cifar_files() -> Iterator[Case]:
    record = np.random.default_rng(0).bytes(3072)
    valid = {
        "data_batch_1.bin": (b"\0" + record + b"\1" + record) * 3,
        "test_batch.bin": (b"\0" + record + b"\1" + record) * 2,
    }
    changes: dict[str, dict[str, bytes]] = {
        "one-byte-short": {"data_batch_2.bin": (b"\0" + record)[:-1]},
        "one-byte-long": {"data_batch_2.bin": b"\0" + record + b"x"},
        "empty": {"data_batch_2.bin": b""},
        "text": {"data_batch_2.bin": b"hello"},
        "label-255": {"data_batch_2.bin": b"\xff" + record},
        "mixed": {"train.bin": b"\0\0" + record},
        "no-names": {"batches.meta.txt": b""},
        "one-name": {"batches.meta.txt": b"cat"},
        "long-name": {"batches.meta.txt": b"c" * 1000 + b" dog"},
        "names-not-utf8": {"batches.meta.txt": b"\xff\xfe dog extra"},
    }
    for name, change in changes.items():
        outcomes = (READY,) if name == "no-names" else (_UNREADABLE, _LAYOUT)
        yield _case("cifar", name, make_zip(valid | change), *outcomes, filename="a.zip")
    yield _case("cifar", "valid", make_zip(valid), READY, filename="a.zip")
    yield _case(
        "cifar",
        "only-test",
        make_zip({"test_batch.bin": valid["test_batch.bin"]}),
        _LAYOUT,
        filename="a.zip",
    )
