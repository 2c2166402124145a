"""Files of torch.save, whole and damaged, and pickles that torch.save never writes."""

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.hostile.case import Case, later

_KIND = "checkpoints"
_REFUSED, _UNREADABLE = "checkpoint_refused", "checkpoint_unreadable"
_UNKNOWN, _NO_FIT = "architecture_unknown", "keys_do_not_fit"
_WEIGHT = "conv1.weight"


def cases() -> Iterator[Case]:
    yield from _tensors()
    yield from _structures()
    yield from _damaged_files()
    yield from _pickles()
    yield from _other_files()


def _case(
    name: str, content: Any, *outcomes: str, mentions: str = "", filename: str = "teacher.pth"
) -> Case:
    if not isinstance(content, bytes) and not callable(content):
        content = partial(_save, content)
    return Case(_KIND, name, filename, content, outcomes, mentions, "check_teacher")


def _save(content: Any, path: Path) -> None:
    torch.save(content, path)


def _lazy(make: Callable[[], Any]) -> Callable[[Path], None]:
    return lambda path: torch.save(make(), path)


def _saved(content: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, **options)
    return stream.getvalue()


def _state(**tensors: Tensor) -> dict[str, Tensor]:
    return {name.replace("__", "."): tensor for name, tensor in tensors.items()}


def _tensors() -> Iterator[Case]:
    """State dicts with one strange tensor, which the message must name."""
    ones = torch.ones(4, 4)
    coordinates = torch.zeros(2, 1, dtype=torch.long)
    strange = {
        "complex64": ones.to(torch.complex64),
        "complex128": ones.to(torch.complex128),
        "float8-e4m3": ones.to(torch.float8_e4m3fn),
        "float8-e5m2": ones.to(torch.float8_e5m2),
        "quantized": torch.quantize_per_tensor(ones, 0.1, 0, torch.qint8),
        "quantized-per-channel": torch.quantize_per_channel(
            ones, torch.ones(4), torch.zeros(4), 0, torch.quint8
        ),
        "sparse": ones.to_sparse(),
        "sparse-huge": torch.sparse_coo_tensor(coordinates, torch.ones(1), (1 << 30, 1 << 30)),
        "sparse-csr": ones.to_sparse_csr(),
        "meta": torch.ones(1 << 20, 1 << 20, device="meta"),
        "uint16": torch.ones(4, dtype=torch.uint16),
        "uint64": torch.ones(4, dtype=torch.uint64),
        "nan": torch.full((4,), float("nan")),
        "nan-half": torch.full((4,), float("nan"), dtype=torch.float16),
        "nan-bfloat16": torch.full((4,), float("nan"), dtype=torch.bfloat16),
        "infinity": torch.full((4,), float("inf")),
        "one-nan-in-many": torch.cat([torch.zeros(99_999), torch.tensor([float("nan")])]),
        "too-large-for-float32": torch.full((4,), 1e300, dtype=torch.float64),
        "repeated-by-stride-0": torch.ones(1).expand(1000, 1000),
        "repeated-by-overlap": torch.ones(1999).as_strided((1000, 1000), (1, 1)),
        "repeated-to-terabytes": torch.ones(1).expand(1 << 20, 1 << 20),
        "dimensions-65": torch.ones([1] * 65),
        "dimensions-1000": torch.ones([1] * 1000),
        "dimensions-9": torch.ones([1] * 9),
        "no-values-but-huge": torch.ones(1 << 41, 0),
        "no-values-but-many-dimensions": torch.ones([0] * 100),
    }
    for name, tensor in strange.items():
        state = _state(conv1__weight=torch.ones(16, 3, 3, 3), odd__weight=tensor)
        yield _case(f"tensor-{name}", state, _REFUSED, mentions="odd.weight")
    allowed = {
        "bool": torch.ones(4, dtype=torch.bool),
        "int8": torch.ones(4, dtype=torch.int8),
        "float64": ones.double(),
        "empty": torch.ones(0),
        "scalar": torch.tensor(1.0),
        "parameter": torch.nn.Parameter(ones),
        "requires-grad": torch.ones(4, requires_grad=True),
        "transposed": torch.ones(4, 8).t(),
    }
    for name, tensor in allowed.items():
        state = _state(conv1__weight=torch.ones(16, 3, 3, 3), odd__weight=tensor)
        yield _case(f"tensor-{name}", state, _UNKNOWN, mentions="odd.weight")
    yield from _classifiers()
    yield from _reparametrizations()


def _classifiers() -> Iterator[Case]:
    shapes = {
        "0-classes": (0, 64),
        "0-features": (10, 0),
        "no-classes-and-features": (0, 0),
        "scalar": (),
        "vector": (64,),
        "cube": (10, 64, 1),
        "billions-of-classes": (1 << 33, 0),
        "sextillions-of-classes": (1 << 62, 0),
    }
    for name, shape in shapes.items():
        state = _state(conv1__weight=torch.ones(16, 3, 3, 3), fc__weight=torch.empty(shape))
        yield _case(f"classifier-{name}", state, _UNKNOWN, _NO_FIT, _REFUSED, mentions="fc.weight")


def _reparametrizations() -> Iterator[Case]:
    """Factors of weight norm and spectral norm that cannot be multiplied."""
    half, whole = torch.ones(4, dtype=torch.float16), torch.ones(4, 4)
    factors = {
        "weight-norm-zero": {"weight_g": torch.ones(4, 1), "weight_v": torch.zeros(4, 4)},
        "weight-norm-bool": {"weight_g": torch.ones(4), "weight_v": torch.ones(4, 4).bool()},
        "weight-norm-int": {"weight_g": torch.ones(4), "weight_v": torch.ones(4, 4).long()},
        "weight-norm-shapes": {"weight_g": torch.ones(7), "weight_v": whole},
        "weight-norm-scalar": {"weight_g": torch.ones(()), "weight_v": torch.ones(())},
        "spectral-norm-zero": {"weight_orig": whole, "weight_u": torch.zeros(4), "weight_v": half},
        "spectral-norm-types": {"weight_orig": whole, "weight_u": half, "weight_v": half},
        "spectral-norm-ints": {
            "weight_orig": whole.long(),
            "weight_u": torch.ones(4).long(),
            "weight_v": torch.zeros(4).long(),
        },
        "spectral-norm-shapes": {"weight_orig": whole, "weight_u": torch.ones(4, 4)},
        "spectral-norm-scalar": {
            "weight_orig": torch.ones(()),
            "weight_u": torch.ones(1),
            "weight_v": torch.ones(1),
        },
    }
    for name, tensors in factors.items():
        state = {"conv1.weight": torch.ones(16, 3, 3, 3)}
        state |= {f"odd.{part}": tensor for part, tensor in tensors.items()}
        yield _case(name, state, _REFUSED, _UNKNOWN, mentions="odd")


def _structures() -> Iterator[Case]:
    """Objects whose nesting, size or keys are strange."""
    yield _case(
        "keys-100000",
        _lazy(lambda: {f"k{n}": torch.ones(1) for n in range(100_000)}),
        _REFUSED,
        mentions="10000",
    )
    yield _case(
        "keys-100000-of-numbers",
        _lazy(lambda: {f"k{n}": n for n in range(100_000)}),
        _REFUSED,
        mentions="k0",
    )
    yield _case(
        "keys-20000",
        _lazy(lambda: {f"l{n}.w": torch.ones(1) for n in range(20_000)}),
        _REFUSED,
        _UNKNOWN,
    )
    for depth in (6, 50, 150):
        yield _case(
            f"dicts-nested-{depth}", _nested(depth, lambda inner: {"model": inner}), _REFUSED
        )
        yield _case(f"lists-nested-{depth}", _nested(depth, lambda inner: [inner]), _REFUSED)
    looped: dict[str, Any] = {_WEIGHT: torch.ones(1)}
    looped["model"] = looped
    yield _case("dict-within-itself", looped, _REFUSED, mentions="nested")
    empty_loop: dict[str, Any] = {}
    empty_loop["model"] = empty_loop
    yield _case("dict-of-only-itself", empty_loop, _REFUSED)
    cycle: list[Any] = []
    cycle.append(cycle)
    yield _case("list-within-itself", {"model": cycle}, _REFUSED)
    yield _case("dicts-shared-a-million-times", _lazy(_shared_dicts), _REFUSED)
    two_loops: dict[str, Any] = {"a": {}, "b": {}}
    two_loops["a"]["b"], two_loops["b"]["a"] = two_loops["b"], two_loops["a"]
    yield _case("dicts-within-each-other", two_loops, _REFUSED)
    keys: dict[str, Any] = {
        "number": 7,
        "tuple": (1, "a"),
        "none": None,
        "bytes": b"weight",
        "float": float("nan"),
        "huge-number": 10**5000,
        "long-name": "w" * 1_000_000,
        "empty-name": "",
        "line-breaks": "a\nb",
        "surrogate": "\udc80weight",
        "nul": "a\0b",
        "only-dots": "....",
        "wrapper": "module",
        "wrappers": "module.module.module",
        "right-to-left": "\u202ethgiew",
    }
    for name, key in keys.items():
        yield _case(f"key-{name}", {key: torch.ones(2)}, _REFUSED, _UNKNOWN, _UNREADABLE)
        yield _case(f"key-{name}-of-a-number", {key: 1}, _REFUSED, _UNREADABLE)
    values: dict[str, Any] = {
        "none": None,
        "number": 1,
        "text": "weights",
        "list": [torch.ones(2)],
        "tensor": torch.ones(2),
        "empty-dict": {},
        "set": {1, 2},
        "ordered-dict": OrderedDict(),
        "bytes": b"abc",
    }
    for name, value in values.items():
        yield _case(f"value-{name}", value, _REFUSED, _UNREADABLE)
    several = {"first": {"w": torch.ones(1)}, "second": {"w": torch.ones(1)}}
    yield _case("several-sets-of-weights", several, _REFUSED, mentions="first, second")
    many = {f"set{n}": {"w": torch.ones(1)} for n in range(1000)}
    yield _case("a-thousand-sets-of-weights", many, _REFUSED, mentions="set0")
    yield _case("only-an-optimizer", torch.optim.Adam([torch.ones(1)]).state_dict(), _REFUSED)


def _nested(depth: int, wrap: Callable[[Any], Any]) -> Any:
    inner: Any = {_WEIGHT: torch.ones(1)}
    for _ in range(depth):
        inner = wrap(inner)
    return inner


def _shared_dicts() -> dict[str, Any]:
    """Nest five dicts whose 1,000 values are the same next dict: 10^15 paths in a small file."""
    inner: dict[str, Any] = {"epoch": 1}
    for _ in range(5):
        inner = {f"k{n}": inner for n in range(1000)}
    return inner


def _damaged_files() -> Iterator[Case]:
    state = {f"layer{n}.weight": torch.randn(32, 16) for n in range(4)}
    modern, legacy = _saved(state), _saved(state, _use_new_zipfile_serialization=False)
    for name, whole in (("zip", modern), ("legacy", legacy)):
        for percent in (1, 5, 20, 50, 80, 95, 99):
            cut = whole[: len(whole) * percent // 100]
            yield _case(f"{name}-cut-at-{percent}-percent", cut, _UNREADABLE, _REFUSED)
        yield _case(f"{name}-cut-by-one-byte", whole[:-1], _UNREADABLE, _UNKNOWN)
        for percent in (3, 10, 40, 70, 98):
            position = len(whole) * percent // 100
            zeroed = whole[:position] + bytes(64) + whole[position + 64 :]
            yield _case(
                f"{name}-zeros-at-{percent}-percent", zeroed, _UNREADABLE, _REFUSED, _UNKNOWN
            )
    yield _case("zip-followed-by-data", modern + b"x" * 1000, _UNREADABLE, _UNKNOWN)
    yield _case("zip-after-zip", modern + modern, _UNREADABLE, _UNKNOWN)
    random = np.random.default_rng(0)
    for name, head in {"zip": b"PK\x03\x04", "pickle": b"\x80\x02", "nothing": b""}.items():
        content = head + random.bytes(10_000)
        yield _case(f"random-bytes-after-{name}", content, _UNREADABLE, _REFUSED)
    yield _case("legacy-storage-of-terabytes", _legacy_with_size(1 << 40), _UNREADABLE)
    yield _case("legacy-storage-of-minus-one", _legacy_with_size(-1), _UNREADABLE)
    yield _case(
        "zip-rewritten-compressed",
        _rezip(modern, zipfile.ZIP_DEFLATED),
        _REFUSED,
        mentions="compressed",
    )
    yield _case("zip-bomb", later(_bomb, modern), _REFUSED, mentions="compressed")
    yield _case("zip-without-storages", _rezip(modern, keep="data.pkl"), _UNREADABLE)
    yield _case(
        "zip-without-pickle", _rezip(modern, drop="data.pkl"), _UNREADABLE, mentions="data.pkl"
    )
    yield _case("zip-directory-overlaps", _overlapping_zip(), _REFUSED, _UNREADABLE)


def _legacy_with_size(size: int) -> bytes:
    """Return a legacy file whose tensor claims a storage of `size` values."""
    content = _saved({_WEIGHT: torch.ones(7)}, _use_new_zipfile_serialization=False)
    integer = b"\x8a\x08" + struct.pack("<q", size)  # LONG1 in place of BININT1 7
    return content.replace(b"cpuq\x09K\x07", b"cpuq\x09" + integer, 1).replace(b"K\x07", integer, 2)


def _rezip(content: bytes, method: int = 0, *, keep: str = "", drop: str = "\0") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(stream, "w") as target:
        for name in source.namelist():
            if keep in name and drop not in name:
                target.writestr(name, source.read(name), method)
    return stream.getvalue()


def _bomb(content: bytes) -> bytes:
    stream = io.BytesIO(_rezip(content))
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/9", bytes(100 << 20))
    return stream.getvalue()


def _overlapping_zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}, 2))
        archive.writestr("archive/data/0", bytes(10_000))
        for number in range(1, 1000):
            info = archive.getinfo("archive/data/0")
            copy = zipfile.ZipInfo(f"archive/data/{number}")
            for field in ("header_offset", "CRC", "compress_size", "file_size"):
                setattr(copy, field, getattr(info, field))
            archive.filelist.append(copy)
    return stream.getvalue()


class _Call:
    """An object whose pickle calls a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> Any:
        return self._call


def _pickles() -> Iterator[Case]:
    """Pickles that import, call or build something."""
    calls: dict[str, Any] = {
        "os-system": _Call(__import__("os").system, "touch hacked"),
        "eval": _Call(eval, "1"),
        "open": _Call(open, "hacked", "w"),
        "getattr": _Call(getattr, "", "join"),
        "torch-load": _Call(torch.load, "x"),
        "class": Case,
        "function": cases,
    }
    for name, value in calls.items():
        yield _case(f"global-{name}", {"w": value}, _REFUSED, mentions="import")
        yield _case(f"global-{name}-raw", pickle.dumps({"w": value}, 2), _REFUSED, _UNREADABLE)
    yield _case(
        "global-in-legacy-file",
        _saved({"w": calls["eval"]}, _use_new_zipfile_serialization=False),
        _REFUSED,
        mentions="eval",
    )
    yield _case("whole-module", _lazy(lambda: torch.nn.Linear(2, 2)), _REFUSED, mentions="Linear")
    yield _case("numpy-array", {"w": np.ones(3)}, _REFUSED)
    yield _case("numpy-object-array", {"w": np.array([_Call(eval, "1")])}, _REFUSED)
    yield _case("bytearray-of-terabytes", {"w": _Call(bytearray, 1 << 42)}, "out_of_memory")
    opcodes = {
        "many-marks": b"(" * 1_000_000 + b".",
        "many-lists": b"]" * 1_000_000 + b".",
        "many-tuples": b")" + b"\x85" * 500_000 + b".",
        "stop-only": b".",
        "pop-of-nothing": b"0.",
        "memo-of-nothing": b"h\x05.",
        "text-longer-than-file": b"X\xff\xff\xff\x7fabc.",
        "text-8-longer-than-file": b"\x8d" + b"\xff" * 7 + b"\x7fabc.",
        "long-of-gigabytes": b"\x8b\xff\xff\xff\x7f1.",
        "negative-long": b"\x8b\xff\xff\xff\xff1.",
        "not-utf8": b"X\x02\x00\x00\x00\xff\xfe.",
        "persistent-id": b"K\x01Q.",
        "reduce-of-text": b"X\x01\x00\x00\x00a)R.",
        "build-on-number": b"K\x01}b.",
        "set-items-on-list": b"](K\x01K\x02u.",
        "unknown-opcode": b"\xfe.",
        "memo-index-huge": b"}r\xff\xff\xff\xff.",
        "frame-of-exabytes": b"\x95" + b"\xff" * 8 + b"}.",
    }
    for name, body in opcodes.items():
        for version in (2, 4):
            stream = io.BytesIO()
            with zipfile.ZipFile(stream, "w") as archive:
                archive.writestr("archive/data.pkl", bytes((0x80, version)) + body)
                archive.writestr("archive/version", "3\n")
            yield _case(f"opcodes-{name}-{version}", stream.getvalue(), _UNREADABLE, _REFUSED)


def _other_files() -> Iterator[Case]:
    """Files of another kind, some with the extension of a checkpoint."""
    npz, png, torchscript, program = io.BytesIO(), io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.savez(npz, w=np.ones(3))
    png.write(b"\x89PNG\r\n\x1a\n" + bytes(100))
    with zipfile.ZipFile(torchscript, "w") as archive:
        archive.writestr("model/data.pkl", b"\x80\x02}.")
        archive.writestr("model/constants.pkl", b"\x80\x02).")
        archive.writestr("model/code/__torch__.py", "class M: pass")
    with zipfile.ZipFile(program, "w") as archive:
        archive.writestr("model/archive_format", "pt2")
    files = {
        "empty": b"",
        "one-byte": b"\x80",
        "two-bytes": b"PK",
        "text": b"not a checkpoint\n" * 99,
        "html": b"<!DOCTYPE html><html></html>",
        "lfs-pointer": b"version https://git-lfs.github.com",
        "gzip": b"\x1f\x8b\x08" + bytes(50),
        "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(99),
        "tflite": b"\x1c\0\0\0TFL3" + bytes(99),
        "json": b'{"weights": [1, 2]}',
        "zeros": bytes(10_000),
        "empty-zip": b"PK\x05\x06" + bytes(18),
        "png": png.getvalue(),
        "utf16-text": "weights".encode("utf-16"),
        "npz": npz.getvalue(),
    }
    for name, content in files.items():
        for extension in ("pth", "onnx", "safetensors"):
            yield _case(
                f"{name}-named-{extension}", content, _UNREADABLE, filename=f"teacher.{extension}"
            )
    yield _case("torchscript", torchscript.getvalue(), _REFUSED, mentions="TorchScript")
    yield _case("torch-export", program.getvalue(), _REFUSED, mentions="torch.export")
