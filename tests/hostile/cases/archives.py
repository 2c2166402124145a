"""Zip archives with hostile names, headers and contents."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.hostile.case import READY, Case, later
from tests.hostile.cases.samples import make_zip, png, valid_files

_REFUSED, _UNREADABLE, _LAYOUT = "archive_refused", "archive_unreadable", "layout_invalid"
_IMAGE = "image_unreadable"
_ODD = "train/cat/odd.png"


def cases() -> Iterator[Case]:
    yield from _names()
    yield from _members()
    yield from _damaged()
    yield from _bombs()
    yield from _contents()


def _case(
    name: str, content: bytes | Callable[[Path], object], *outcomes: str, mentions: str = ""
) -> Case:
    return Case("zip archives", name, "images.zip", content, outcomes, mentions)


def _with(name: str, content: bytes | None = None) -> bytes:
    """Return a valid dataset with one more file."""
    return make_zip(valid_files() | {name: png(99) if content is None else content})


def _names() -> Iterator[Case]:
    outside = {
        "dot-dot": "../odd.png",
        "dot-dot-inside": "train/../../odd.png",
        "absolute": "/etc/odd.png",
        "backslash": "..\\odd.png",
        "absolute-backslash": "\\odd.png",
        "drive": "C:/odd.png",
        "drive-backslash": "C:\\odd.png",
        "share": "\\\\server\\odd.png",
        "dot-dot-only": "..",
    }
    for name, text in outside.items():
        yield _case(f"name-{name}", _with(text), _REFUSED, mentions="points outside")
    yield _case("name-deep", _with("a/" * 100 + "odd.png"), _REFUSED, mentions="nested deeper")
    yield _case("name-empty", _without_name(), _REFUSED, mentions="without a name")
    odd = {
        "spaces": "train/cat/ .png",
        "line-break": "train/cat/a\nb.png",
        "escape": "train/cat/\x1b[31m.png",
        "emoji": "train/cat/\U0001f408.png",
        "right-to-left": "train/cat/\u202egnp.png",
        "dots": "train/cat/....png",
        "dot-slash": "./train/cat/odd.png",
        "double-slash": "train//cat/odd.png",
        "trailing-dot": "train/cat/odd.png.",
        "device": "train/cat/NUL",
        "drive-inside": "train/cat/C:odd.png",
        "percent": "train/cat/%s%n%x.png",
        "quotes": "train/cat/'\"`$(reboot).png",
    }
    for name, text in odd.items():
        yield _case(f"name-{name}", _with(text), READY)
    long = {"1000": 1_000, "60000": 60_000}
    for name, length in long.items():
        yield _case(f"name-of-{name}-letters", _with("train/cat/" + "n" * length), READY, _REFUSED)
    files = {
        f"{split}/{'c' * 30_000}/{n}.png": png(n) for split in ("train", "val") for n in (1, 2)
    }
    yield _case("class-of-30000-letters", make_zip(valid_files() | files), _REFUSED, _LAYOUT)
    files = {f"{split}/a\x1b\x02b/{n}.png": png(n) for split in ("train", "val") for n in (1, 2)}
    yield _case(
        "class-of-control-characters", make_zip(valid_files() | files), _LAYOUT, mentions="x1b"
    )
    yield _case(
        "names-of-4-megabytes",
        make_zip(valid_files() | {f"train/cat/{n}{'x' * 60_000}": b"" for n in range(70)}),
        READY,
        _REFUSED,
        _IMAGE,
    )
    accented = _with("train/cat/caf\u00e9.png")
    yield _case(
        "name-not-utf8", accented.replace("\u00e9".encode(), b"\xff\xfe"), _UNREADABLE, _REFUSED
    )
    yield _case("name-cp437", _replace_flags(_with("train/cat/caf\u00e9.png"), 0), READY)
    yield _case(
        "name-with-nul",
        _with("train/cat/a_b.png").replace(b"a_b", b"a\0b"),
        READY,
        _REFUSED,
        _UNREADABLE,
    )
    yield _case(
        "names-differ",
        _with(_ODD).replace(b"odd.png", b"bad.png", 1),
        _UNREADABLE,
        mentions="odd.png",
    )
    folded = {"train/Cat/1.png": png(1), "val/Cat/1.png": png(2)}
    yield _case("classes-differ-by-case", make_zip(valid_files() | folded), READY)
    composed = {"train/caf\u00e9/1.png": png(1), "val/cafe\u0301/1.png": png(2)}
    yield _case("class-composed-and-decomposed", make_zip(valid_files() | composed), READY)
    twice = io.BytesIO(make_zip(valid_files()))
    with zipfile.ZipFile(twice, "a") as archive:
        archive.filelist.append(archive.getinfo("train/cat/0.png"))
        archive._didModify = True
    yield _case("name-twice", twice.getvalue(), _LAYOUT, _UNREADABLE, mentions="train/cat/0.png")
    same = make_zip({**valid_files(), "train/cat/x.png": png(3)}).replace(
        b"cat/x.png", b"cat/0.png"
    )
    yield _case("name-twice-with-other-content", same, _LAYOUT, mentions="train/cat/0.png")


def _without_name() -> bytes:
    stream = io.BytesIO(make_zip(valid_files()))
    with zipfile.ZipFile(stream, "a") as archive, archive.open(zipfile.ZipInfo(""), "w") as member:
        member.write(png(99))
    return stream.getvalue()


def _replace_flags(content: bytes, flags: int, name: bytes = b"") -> bytes:
    """Set the flags of all members, or of those with a name, in both headers."""
    data = bytearray(content)
    for signature, offset, name_at in ((b"PK\x03\x04", 6, 30), (b"PK\x01\x02", 8, 46)):
        position = data.find(signature)
        while position >= 0:
            if data[position + name_at :].startswith(name):
                data[position + offset : position + offset + 2] = struct.pack("<H", flags)
            position = data.find(signature, position + 4)
    return bytes(data)


def _patch(content: bytes, central: int, local: int, value: bytes, name: str = _ODD) -> bytes:
    """Replace a field of one member, at these offsets in the central and the local header."""
    data = bytearray(content)
    for start, offset in (
        (data.find(name.encode()) - 30, local),
        (data.rfind(name.encode()) - 46, central),
    ):
        if offset >= 0:
            data[start + offset : start + offset + len(value)] = value
    return bytes(data)


def _members() -> Iterator[Case]:
    """Members whose headers claim something strange."""
    whole = _with(_ODD)
    yield _case("encrypted", _replace_flags(whole, 1, _ODD.encode()), _REFUSED, mentions=_ODD)
    yield _case(
        "strongly-encrypted", _replace_flags(whole, 0x41, _ODD.encode()), _REFUSED, mentions=_ODD
    )
    yield _case(
        "patched-data", _replace_flags(whole, 0x20, _ODD.encode()), _UNREADABLE, mentions=_ODD
    )
    for method in (1, 6, 9, 12, 14, 93, 95, 98, 99, 65535):
        patched = _patch(whole, 10, 8, struct.pack("<H", method))
        yield _case(f"method-{method}", patched, _UNREADABLE, mentions=_ODD)
    yield _case(
        "method-8-for-stored",
        _patch(whole, 10, 8, struct.pack("<H", 8)),
        _UNREADABLE,
        mentions=_ODD,
    )
    yield _case("wrong-crc", _patch(whole, 16, 14, b"\1\2\3\4"), _UNREADABLE, mentions=_ODD)
    size = len(png(99))
    for name, claimed in {"less": size - 9, "more": size + 9, "gigabytes": 0xFFFFFFF0}.items():
        for field, offset in {"packed": 20, "unpacked": 24}.items():
            patched = _patch(whole, offset, -1, struct.pack("<I", claimed))
            mentions = _ODD if name == "less" else ""
            yield _case(
                f"{field}-size-{name}",
                patched,
                READY,
                _UNREADABLE,
                _IMAGE,
                _REFUSED,
                mentions=mentions,
            )
    for name, offset_value in {"zero": 0, "end": len(whole), "beyond": 0xFFFFFFF0}.items():
        patched = _patch(whole, 42, -1, struct.pack("<I", offset_value))
        yield _case(
            f"header-offset-{name}", patched, _UNREADABLE, mentions="" if name == "beyond" else _ODD
        )
    date = _patch(whole, 12, 10, b"\xff\xff\xff\xff")
    yield _case("impossible-date", date, READY, _UNREADABLE)
    types = {"link": 0o120777, "device": 0o060666, "pipe": 0o010666, "socket": 0o140666}
    for name, mode in types.items():
        stream = io.BytesIO(make_zip(valid_files()))
        with zipfile.ZipFile(stream, "a") as archive:
            info = zipfile.ZipInfo(_ODD)
            info.external_attr = mode << 16
            archive.writestr(info, "/etc/passwd")
        yield _case(f"member-{name}", stream.getvalue(), _REFUSED, mentions=_ODD)
    yield _case(
        "overlapping", _overlapping(500), _UNREADABLE, _REFUSED, _LAYOUT, mentions="train/cat"
    )
    yield from _extra_fields()


def _extra_fields() -> Iterator[Case]:
    extras = {
        "zip64-cut": struct.pack("<HH", 1, 4) + b"abcd",
        "length-beyond": struct.pack("<HH", 1, 60_000),
        "one-byte": b"\1",
        "unicode-path": struct.pack("<HHBI", 0x7075, 9, 1, zlib.crc32(_ODD.encode())) + b"../x",
        "unicode-path-not-utf8": struct.pack("<HHBI", 0x7075, 7, 1, zlib.crc32(_ODD.encode()))
        + b"\xff\xfe",
    }
    for name, extra in extras.items():
        stream = io.BytesIO(make_zip(valid_files()))
        with zipfile.ZipFile(stream, "a") as archive:
            info = zipfile.ZipInfo(_ODD)
            info.extra = extra
            archive.writestr(info, png(99))
        content = stream.getvalue()
        if name.startswith("zip64"):
            content = _patch(content, 24, -1, b"\xff" * 4)
        yield _case(f"extra-{name}", content, READY, _UNREADABLE, _REFUSED)


def _overlapping(count: int) -> bytes:
    """Return an archive in which many members share the bytes of one."""
    stream = io.BytesIO(make_zip(valid_files()))
    with zipfile.ZipFile(stream, "a") as archive:
        info = archive.getinfo("train/cat/0.png")
        for number in range(100, 100 + count):
            copy = zipfile.ZipInfo(f"train/cat/{number}.png")
            for field in ("header_offset", "CRC", "compress_size", "file_size"):
                setattr(copy, field, getattr(info, field))
            archive.filelist.append(copy)
        archive._didModify = True
    return stream.getvalue()


def _damaged() -> Iterator[Case]:
    whole = make_zip(valid_files(), zipfile.ZIP_DEFLATED)
    for percent in (0, 1, 10, 30, 60, 90, 99):
        cut = whole[: len(whole) * percent // 100]
        yield _case(f"cut-at-{percent}-percent", cut, _UNREADABLE)
    yield _case("cut-at-the-front", whole[100:], _UNREADABLE)
    for percent in (2, 20, 50, 75, 85, 97):
        position = len(whole) * percent // 100
        damaged = whole[:position] + b"\xaa" * 40 + whole[position + 40 :]
        yield _case(f"damaged-at-{percent}-percent", damaged, _UNREADABLE, _REFUSED, _IMAGE)
    yield _case("twice-in-a-row", whole + whole, READY, _UNREADABLE)
    yield _case("after-junk", b"#!/bin/sh\n" * 100 + whole, READY)
    yield _case("only-the-end", b"PK\x05\x06" + bytes(18), _LAYOUT, _UNREADABLE)
    directory = whole.rfind(b"PK\x05\x06")
    ends = {
        "directory-size-huge": (12, b"\xf0\xff\xff\xff"),
        "directory-offset-huge": (16, b"\xf0\xff\xff\xff"),
        "directory-size-zero": (12, bytes(4)),
        "count-zero": (8, bytes(4)),
        "count-65000": (8, b"\xe8\xfd\xe8\xfd"),
        "disk-7": (4, b"\7\0\7\0"),
        "zip64-marks": (8, b"\xff" * 12),
        "comment-longer": (20, b"\xff\xff"),
    }
    for name, (offset, value) in ends.items():
        start = directory + offset
        patched = whole[:start] + value + whole[start + len(value) :]
        yield _case(f"end-{name}", patched, READY, _UNREADABLE, _LAYOUT)
    zip64 = struct.pack(
        "<4sQHHLLQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 1 << 60, 1 << 60, 1 << 50, 0
    )
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, directory, 1)
    yield _case("zip64-lies", whole[:directory] + zip64 + locator + whole[directory:], _UNREADABLE)
    files = valid_files()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(content)
    yield _case("zip64", stream.getvalue(), READY)


def _bomb(sizes: dict[str, int], method: int) -> bytes:
    zeros = {name: bytes(size) for name, size in sizes.items()}
    return make_zip(valid_files() | zeros, method)


def _bombs() -> Iterator[Case]:
    methods = {"deflate": 8, "bzip2": 12, "lzma": 14}
    for name, method in methods.items():
        whole = later(_bomb, {_ODD: 200 << 20}, method)
        yield _case(f"bomb-{name}", whole, _REFUSED, mentions=_ODD)
        parts = later(_bomb, {f"train/cat/{n}.png": 20 << 20 for n in range(100, 106)}, method)
        yield _case(f"bomb-{name}-in-parts", parts, _REFUSED, mentions="train/cat/10")
    dictionary = make_zip(valid_files() | {_ODD: png(99)}, zipfile.ZIP_LZMA)
    properties = dictionary.find(b"\x05\x00\x5d", dictionary.find(_ODD.encode()))
    patched = dictionary[: properties + 3] + b"\xff" * 4 + dictionary[properties + 7 :]
    yield _case("lzma-dictionary-of-4-gigabytes", patched, READY, _REFUSED, _UNREADABLE)
    yield _case(
        "lzma-properties-wrong",
        dictionary[: properties + 2] + b"\xff" + dictionary[properties + 3 :],
        _UNREADABLE,
        mentions="train/cat",
    )

    def write_million(path: Path) -> None:
        """Write a directory of 2.1 million empty members, the smallest possible, by hand."""
        entry = (
            struct.pack(
                "<4s4B4HL2L5H2L",
                b"PK\x01\x02",
                20,
                3,
                20,
                0,
                0,
                0,
                0,
                33,
                0,
                0,
                0,
                1,
                0,
                0,
                0,
                0,
                0,
                0,
            )
            + b"a"
        )
        count = 2_100_000
        size = len(entry) * count
        end = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, 0)
        locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, size, 1)
        last = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 65535, 65535, 2**32 - 1, 2**32 - 1, 0)
        path.write_bytes(entry * count + end + locator + last)

    yield Case(
        "zip archives",
        "members-2-million",
        "images.zip",
        write_million,
        (_REFUSED, _UNREADABLE),
        "2000000",
        is_slow=True,
    )


def _contents() -> Iterator[Case]:
    yield _case("folders-only", make_zip({"train/": b"", "train/cat/": b"", "val/": b""}), _LAYOUT)
    yield _case("no-members", make_zip({}), _LAYOUT)
    yield _case("nested-zip", make_zip({"data.zip": make_zip(valid_files())}), _LAYOUT)
    yield _case(
        "nested-zip-beside-images",
        _with("more.zip", make_zip(valid_files())),
        READY,
        mentions="1 file that is not an image was ignored",
    )
    yield _case(
        "nested-zip-among-images",
        _with("train/cat/more.zip", make_zip(valid_files())),
        READY,
        mentions="1 file that is not an image was ignored",
    )
    yield _case("script-beside-images", _with("install.sh", b"rm -rf /"), READY, mentions="ignored")
    yield _case("hidden-files", _with(".git/hooks/pre-commit", b"x"), READY, mentions="hidden")
    yield _case(
        "one-class", make_zip({n: c for n, c in valid_files().items() if "cat" in n}), _LAYOUT
    )
    yield _case(
        "no-training-split",
        make_zip({n: c for n, c in valid_files().items() if "val" in n}),
        _LAYOUT,
    )
    yield _case("class-missing-in-val", _with("train/fox/1.png"), _LAYOUT, mentions="fox")
    yield _case("image-outside-classes", _with("odd.png"), READY, mentions="1 image outside")
    yield _case("file-and-folder-of-one-name", _with("train/cat"), READY, _LAYOUT)
    not_zips = {
        "text": b"hello " * 99,
        "empty": b"",
        "zeros": bytes(5000),
        "png": png(),
        "html": b"<html>",
        "rar": b"Rar!\x1a\x07\0" + bytes(99),
        "7z": b"7z\xbc\xaf\x27\x1c" + bytes(99),
        "gzip": b"\x1f\x8b\x08" + bytes(99),
        "pdf": b"%PDF-1.4" + bytes(99),
        "elf": b"\x7fELF" + bytes(99),
        "xz": b"\xfd7zXZ\0" + bytes(99),
        "bzip2": b"BZh9" + bytes(99),
        "zstd": b"\x28\xb5\x2f\xfd" + bytes(99),
    }
    for name, content in not_zips.items():
        yield _case(f"{name}-named-zip", content, _UNREADABLE)
