"""Tar archives, plain and compressed, with hostile headers and contents."""

import bz2
import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.hostile.case import READY, Case, later
from tests.hostile.cases.samples import png, valid_files

_REFUSED, _UNREADABLE, _LAYOUT = "archive_refused", "archive_unreadable", "layout_invalid"
_IMAGE = "image_unreadable"
_ODD = "train/cat/odd.png"
_BLOCK = 512


def cases() -> Iterator[Case]:
    yield from _names()
    yield from _members()
    yield from _headers()
    yield from _damaged()
    yield from _bombs()


def _case(
    name: str,
    content: bytes | Callable[[Path], object],
    *outcomes: str,
    mentions: str = "",
    filename: str = "images.tar",
) -> Case:
    return Case("tar archives", name, filename, content, outcomes, mentions)


def _make_tar(
    files: Mapping[str, bytes], *others: tarfile.TarInfo, tar_format: int = tarfile.PAX_FORMAT
) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tar_format) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in others:
            archive.addfile(info)
    return stream.getvalue()


def _info(kind: bytes, name: str = _ODD, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def _with(name: str, content: bytes | None = None, **options: int) -> bytes:
    files = valid_files() | {name: png(99) if content is None else content}
    return _make_tar(files, **options)


def _names() -> Iterator[Case]:
    outside = {
        "dot-dot": "../odd.png",
        "absolute": "/etc/odd.png",
        "drive": "C:/odd.png",
        "backslash": "..\\odd.png",
    }
    for name, text in outside.items():
        yield _case(f"name-{name}", _with(text), _REFUSED, mentions="points outside")
    yield _case("name-deep", _with("a/" * 99 + "odd.png"), _REFUSED, mentions="nested deeper")
    yield _case("name-of-100000-letters", _with("train/cat/" + "n" * 100_000), READY, _REFUSED)
    yield _case(
        "name-of-100000-letters-gnu",
        _with("train/cat/" + "n" * 100_000, tar_format=tarfile.GNU_FORMAT),
        READY,
        _REFUSED,
    )
    yield _case("name-empty", _with(""), READY, _REFUSED)
    latin = _with("train/cat/caf_.png", tar_format=tarfile.GNU_FORMAT).replace(b"caf_", b"caf\xe9")
    yield _case("name-latin1", _fix_checksums(latin), READY, _REFUSED, mentions="caf")
    bad = {"train/\udcff/1.png": png(1), "val/\udcff/1.png": png(2)}
    yield _case(
        "class-not-utf8",
        _make_tar(valid_files() | bad, tar_format=tarfile.GNU_FORMAT),
        _REFUSED,
        mentions="UTF-8",
    )
    twice = io.BytesIO(_make_tar(valid_files()))
    with tarfile.open(fileobj=twice, mode="a") as archive:
        info = tarfile.TarInfo("train/cat/0.png")
        info.size = len(png(5))
        archive.addfile(info, io.BytesIO(png(5)))
    yield _case("name-twice", twice.getvalue(), _LAYOUT, mentions="train/cat/0.png")
    for tar_format in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        yield _case(f"format-{tar_format}", _make_tar(valid_files(), tar_format=tar_format), READY)


def _fix_checksums(content: bytes) -> bytes:
    """Write the right checksum into every header block."""
    data = bytearray(content)
    for start in range(0, len(data), _BLOCK):
        if data[start + 257 : start + 262] == b"ustar":
            data[start + 148 : start + 156] = b" " * 8
            data[start + 148 : start + 156] = b"%06o\0 " % sum(data[start : start + _BLOCK])
    return bytes(data)


def _members() -> Iterator[Case]:
    kinds = {
        "symlink": _info(tarfile.SYMTYPE, linkname="/etc/passwd"),
        "symlink-inside": _info(tarfile.SYMTYPE, linkname="0.png"),
        "hardlink": _info(tarfile.LNKTYPE, linkname="/etc/passwd"),
        "hardlink-inside": _info(tarfile.LNKTYPE, linkname="train/cat/0.png"),
        "hardlink-to-itself": _info(tarfile.LNKTYPE, linkname=_ODD),
        "character-device": _info(tarfile.CHRTYPE, devmajor=1, devminor=5),
        "block-device": _info(tarfile.BLKTYPE, devmajor=8),
        "pipe": _info(tarfile.FIFOTYPE),
    }
    for name, info in kinds.items():
        yield _case(f"member-{name}", _make_tar(valid_files(), info), _REFUSED, mentions=_ODD)
    yield _case(
        "member-contiguous",
        _make_tar(valid_files(), _info(tarfile.CONTTYPE)),
        _IMAGE,
        _REFUSED,
        READY,
        mentions="odd",
    )
    yield _case(
        "member-unknown-kind",
        _make_tar(valid_files(), _info(b"Z")),
        _IMAGE,
        _REFUSED,
        READY,
        mentions="odd",
    )
    yield _case("folders-only", _make_tar({}, _info(tarfile.DIRTYPE, "train")), _LAYOUT)
    yield _case("no-members", _make_tar({}), _LAYOUT, _UNREADABLE)
    yield _case("hidden-files", _with("train/cat/.odd.png"), READY, mentions="hidden")
    yield _case("macos-files", _with("train/cat/._0.png", b"x"), READY)
    yield _case("nested-tar", _make_tar({"data.tar": _make_tar(valid_files())}), _LAYOUT)
    headers = {
        "size-negative": "-1",
        "size-huge": str(10**30),
        "size-words": "many",
        "size-fraction": "1.5",
        "mtime-nan": "nan",
        "uid-huge": str(10**400),
    }
    for name, value in headers.items():
        info = _info(tarfile.REGTYPE, pax_headers={name.partition("-")[0]: value})
        yield _case(
            f"pax-{name}", _make_tar(valid_files(), info), READY, _UNREADABLE, _REFUSED, _IMAGE
        )
    yield from _sparse_members()


def _sparse_members() -> Iterator[Case]:
    """Sparse files, which claim to be larger than their data."""
    maps = {
        "of-a-terabyte": "0,1," + str(1 << 40) + ",0",
        "odd-count": "0,1,2",
        "words": "a,b",
        "negative": "-5,3",
        "reversed": "9,9,0,9",
        "overlapping": "0,9,0,9,0,9",
        "empty": "",
    }
    for name, value in maps.items():
        headers = {"GNU.sparse.map": value, "GNU.sparse.size": str(1 << 40)}
        info = _info(tarfile.REGTYPE, pax_headers=headers)
        yield _case(
            f"sparse-0.1-{name}", _make_tar(valid_files(), info), _REFUSED, _UNREADABLE, _IMAGE
        )
    for name, value in {"huge-map": b"9" * 40 + b"\n", "words": b"x\n1\n", "cut": b"5\n"}.items():
        headers = {
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.name": _ODD,
            "GNU.sparse.realsize": str(1 << 40),
        }
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for path, content in valid_files().items():
                plain = tarfile.TarInfo(path)
                plain.size = len(content)
                archive.addfile(plain, io.BytesIO(content))
            info = _info(tarfile.REGTYPE, pax_headers=headers, size=_BLOCK)
            archive.addfile(info, io.BytesIO(value.ljust(_BLOCK, b"\0")))
        yield _case(f"sparse-1.0-{name}", stream.getvalue(), _REFUSED, _UNREADABLE, _IMAGE)
    old = bytearray(_make_tar({_ODD: b"x"}, tar_format=tarfile.GNU_FORMAT))
    old[156:157] = tarfile.GNUTYPE_SPARSE
    old[386:398], old[398:410] = b"%011o\0" % 0, b"%011o\0" % 1
    old[483:495] = b"%011o\0" % (1 << 32)
    yield _case(
        "sparse-gnu-of-4-gigabytes",
        _fix_checksums(bytes(old)),
        _REFUSED,
        _UNREADABLE,
        _LAYOUT,
        _IMAGE,
    )
    old[482] = 1  # claims that more maps follow
    yield _case(
        "sparse-gnu-without-end", _fix_checksums(bytes(old)), _REFUSED, _UNREADABLE, _LAYOUT, _IMAGE
    )


def _headers() -> Iterator[Case]:
    """Headers with damaged numbers."""
    whole = _make_tar({_ODD: png(9), **valid_files()}, tar_format=tarfile.GNU_FORMAT)
    fields = {
        "mode": (100, 8),
        "uid": (108, 8),
        "size": (124, 12),
        "mtime": (136, 12),
        "checksum": (148, 8),
    }
    values = {
        "letters": b"abcdefgh",
        "nines": b"9" * 12,
        "minus": b"-0000001",
        "binary-huge": b"\x80" + b"\xff" * 11,
        "binary-negative": b"\xff" * 12,
        "empty": bytes(12),
    }
    for field, (offset, length) in fields.items():
        for name, value in values.items():
            patched = bytearray(whole)
            patched[offset : offset + length] = value[:length].ljust(length, b"\0")
            content = bytes(patched) if field == "checksum" else _fix_checksums(bytes(patched))
            yield _case(f"{field}-{name}", content, READY, _UNREADABLE, _REFUSED, _IMAGE)


def _damaged() -> Iterator[Case]:
    whole = _make_tar(valid_files())
    packers: dict[str, Callable[[bytes], bytes]] = {
        "tar": bytes,
        "tar.gz": gzip.compress,
        "tar.bz2": bz2.compress,
        "tar.xz": lzma.compress,
    }
    for name, pack in packers.items():
        packed = pack(whole)
        yield _case(f"{name}-whole", packed, READY, filename=f"images.{name}")
        for percent in (1, 10, 50, 90, 99):
            cut = packed[: len(packed) * percent // 100]
            outcomes = (READY, _UNREADABLE) if name == "tar" else (_UNREADABLE,)
            yield _case(
                f"{name}-cut-at-{percent}-percent", cut, *outcomes, filename=f"images.{name}"
            )
        for percent in (15, 45, 80):
            position = len(packed) * percent // 100
            damaged = packed[:position] + b"\xaa" * 20 + packed[position + 20 :]
            yield _case(
                f"{name}-damaged-at-{percent}-percent",
                damaged,
                _UNREADABLE,
                _REFUSED,
                _IMAGE,
                filename=f"images.{name}",
            )
        yield _case(
            f"{name}-followed-by-junk",
            packed + b"junk" * 300,
            READY,
            _UNREADABLE,
            filename=f"images.{name}",
        )
    yield _case("tar-after-tar", whole + whole, _UNREADABLE, mentions="followed by more data")
    yield _case(
        "gzip-twice", gzip.compress(gzip.compress(whole)), _UNREADABLE, filename="images.tar.gz"
    )
    yield _case("gzip-named-zip", gzip.compress(whole), READY, filename="images.zip")
    yield _case("zeros", bytes(10240), _UNREADABLE, _LAYOUT)


def _bomb(pack: Callable[[bytes], bytes], name: str) -> bytes:
    return pack(_with(name, bytes(200 << 20)))


def _padded(pack: Callable[[bytes], bytes]) -> bytes:
    return pack(_make_tar(valid_files()) + bytes(200 << 20))


def _name_bomb(tar_format: int) -> bytes:
    return gzip.compress(_make_tar({"n" * (150 << 20): b""}, tar_format=tar_format))


def _bombs() -> Iterator[Case]:
    packers = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
    for name, pack in packers.items():
        filename = f"images.tar.{name}"
        visible, hidden = later(_bomb, pack, _ODD), later(_bomb, pack, ".cache/odd")
        yield _case(f"bomb-{name}", visible, _REFUSED, filename=filename, mentions="odd.png")
        yield _case(f"bomb-{name}-in-a-hidden-file", hidden, _REFUSED, filename=filename)
        padded = later(_padded, pack)
        yield _case(f"bomb-{name}-after-the-end", padded, _REFUSED, _UNREADABLE, filename=filename)
    for name, tar_format in {"pax": tarfile.PAX_FORMAT, "gnu": tarfile.GNU_FORMAT}.items():
        content = later(_name_bomb, tar_format)
        yield _case(f"bomb-of-a-name-{name}", content, _REFUSED, filename="images.tar.gz")
    many = _make_tar({f"train/cat/{n}.png": b"" for n in range(30_000)})
    yield _case("empty-files-30000", gzip.compress(many), _IMAGE, _LAYOUT, filename="images.tar.gz")
    dictionary = bytearray(lzma.compress(_make_tar(valid_files()), lzma.FORMAT_ALONE))
    dictionary[1:5] = b"\xff" * 4
    yield _case(
        "lzma-alone-of-4-gigabytes",
        bytes(dictionary),
        READY,
        _REFUSED,
        _UNREADABLE,
        filename="images.tar.lzma",
    )
    yield _case(
        "xz-dictionary-of-4-gigabytes",
        _xz_with_dictionary(),
        READY,
        _REFUSED,
        _UNREADABLE,
        filename="images.tar.xz",
    )


def _xz_with_dictionary() -> bytes:
    """Return an xz file whose block header asks for a dictionary of 4 GiB."""
    content = bytearray(lzma.compress(_make_tar(valid_files())))
    # stream header: 12 bytes; block header: size, flags, filter id, size of properties, dictionary
    content[16] = 40
    size = (content[12] + 1) * 4
    content[12 + size - 4 : 12 + size] = zlib.crc32(bytes(content[12 : 12 + size - 4])).to_bytes(
        4, "little"
    )
    return bytes(content)
