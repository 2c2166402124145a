"""Datasets with one hostile or odd image, as one of many training images."""

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image, PngImagePlugin

from tests.hostile.case import READY, Case
from tests.hostile.cases.samples import encode, make_zip, png, valid_files

_IMAGE, _LAYOUT = "image_unreadable", "layout_invalid"
_SIZE = (8, 8)
_RGB = Image.frombytes("RGB", _SIZE, np.random.default_rng(1).bytes(192))


def cases() -> Iterator[Case]:
    yield from _exif()
    yield from _formats()
    yield from _damaged()
    yield from _bombs()
    yield from _other_files()
    yield from _whole_sets()


def _case(
    name: str, image: bytes, *outcomes: str, mentions: str | None = None, filename: str = "odd.png"
) -> Case:
    """Return a case whose error must name the image."""
    files = valid_files() | {f"train/cat/{filename}": image}
    if mentions is None:
        mentions = "" if READY in outcomes else f"train/cat/{filename}"
    return Case("images", name, "images.zip", make_zip(files), outcomes, mentions)


def _jpeg(exif: bytes | None = None, **options: object) -> bytes:
    return encode(_RGB, "JPEG", **({"exif": exif} if exif else {}), **options)


def _exif() -> Iterator[Case]:
    """Broken metadata must never make a photo unreadable."""
    head = b"Exif\0\0"
    entry = struct.Struct("<HHII")

    def block(*entries: tuple[int, int, int, int], count: int | None = None) -> bytes:
        number = len(entries) if count is None else count
        body = b"".join(entry.pack(*fields) for fields in entries)
        return head + b"II*\0\x08\0\0\0" + struct.pack("<H", number) + body + bytes(4)

    blocks = {
        "only-head": head,
        "cut-header": head + b"II*",
        "wrong-order": head + b"XX*\0\x08\0\0\0",
        "wrong-magic": head + b"II\0\0\x08\0\0\0",
        "offset-beyond": head + b"II*\0\xff\xff\xff\x7f",
        "offset-to-itself": head + b"II*\0\0\0\0\0",
        "random": head + np.random.default_rng(2).bytes(500),
        "count-too-large": block(count=60_000),
        "zeros": head + bytes(100),
        "orientation-0": block((0x0112, 3, 1, 0)),
        "orientation-9": block((0x0112, 3, 1, 9)),
        "orientation-65535": block((0x0112, 3, 1, 65535)),
        "orientation-of-text": block((0x0112, 2, 4, 0x41414141)),
        "orientation-of-float": block((0x0112, 11, 1, 0x7FC00000)),
        "orientation-list": block((0x0112, 3, 2, 0x00060006)),
        "orientation-rational-0": block((0x0112, 5, 1, 0)),
        "orientation-type-99": block((0x0112, 99, 1, 6)),
        "orientation-count-0": block((0x0112, 3, 0, 6)),
        "orientation-huge-count": block((0x0112, 3, 0xFFFFFFFF, 6)),
        "sub-directory-loop": block((0x8769, 4, 1, 8)),
        "gps-beyond": block((0x8825, 4, 1, 0xFFFFFFF0)),
        "maker-note": block((0x927C, 7, 0xFFFF, 8)),
        "bytes-for-number": block((0x0100, 7, 4, 1)),
        "resolution-zero": block((0x011A, 5, 1, 8), (0x0128, 3, 1, 2)),
        "big-endian": head + b"MM\0*\0\0\0\x08" + bytes(20),
    }
    for name, content in blocks.items():
        yield _case(f"exif-{name}", _jpeg(content), READY, filename="odd.jpg")
        yield _case(f"exif-png-{name}", encode(_RGB, "PNG", exif=content), READY)
    for orientation in range(1, 9):
        content = block((0x0112, 3, 1, orientation))
        yield _case(f"exif-orientation-{orientation}", _jpeg(content), READY, filename="odd.jpg")
    for name in ("WEBP", "TIFF"):
        yield _case(
            f"exif-{name.lower()}",
            encode(_RGB, name, exif=blocks["random"]) if name == "WEBP" else encode(_RGB, name),
            READY,
        )


def _formats() -> Iterator[Case]:
    """Formats and modes that are rare but valid."""
    modes = {
        "1": "PNG",
        "L": "PNG",
        "LA": "PNG",
        "P": "PNG",
        "RGBA": "PNG",
        "I;16": "PNG",
        "I": "TIFF",
        "F": "TIFF",
        "CMYK": "JPEG",
        "YCbCr": "JPEG",
        "LAB": "TIFF",
    }
    for mode, file_format in modes.items():
        converted = (
            _RGB.convert("L").convert(mode) if mode in {"I;16", "I", "F"} else _convert(mode)
        )
        yield _case(f"mode-{mode}", encode(converted, file_format), READY)
    for file_format in ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF"):
        yield _case(f"format-{file_format}", encode(_RGB, file_format), READY)
    palette = _RGB.convert("P")
    for name, value in {"index": 3, "bytes": bytes(256), "short": b"\0", "beyond": 255}.items():
        yield _case(
            f"palette-transparency-{name}", encode(palette, "PNG", transparency=value), READY
        )
    yield _case("gray-transparency", encode(_RGB.convert("L"), "PNG", transparency=7), READY)
    yield _case("rgb-transparency", encode(_RGB, "PNG", transparency=(1, 2, 3)), READY)
    frames = [_RGB.rotate(90 * turn) for turn in range(4)]
    for file_format in ("GIF", "WEBP", "PNG", "TIFF", "AVIF"):
        content = encode(_RGB, file_format, save_all=True, append_images=frames)
        yield _case(f"animation-{file_format}", content, READY)
    yield _case(
        "mpo", encode(_RGB, "MPO", save_all=True, append_images=frames), READY, filename="odd.jpg"
    )
    yield _case("progressive-jpeg", _jpeg(progressive=True), READY, filename="odd.jpg")
    for name, profile in {
        "garbage": b"\xff" * 500,
        "empty": b"\0",
        "cut": b"\0\0\x0b\xd0lcms",
    }.items():
        yield _case(f"icc-{name}", encode(_RGB, "PNG", icc_profile=profile), READY)
        yield _case(f"icc-jpeg-{name}", _jpeg(icc_profile=profile), READY, filename="odd.jpg")
    extensions = {
        "jpeg-named-png": _jpeg(),
        "gif-named-png": encode(_RGB, "GIF"),
        "bmp-named-png": encode(_RGB, "BMP"),
    }
    for name, content in extensions.items():
        yield _case(name, content, READY)
    for name, size in {
        "wide": (2000, 1),
        "tall": (1, 2000),
        "one-pixel": (1, 1),
        "large": (3000, 2000),
    }.items():
        yield _case(
            f"size-{name}",
            encode(Image.new("RGB", size, "red"), "PNG"),
            READY,
            mentions="1 images of other sizes",
        )
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "x" * 10_000_000, zip=True)
    yield _case("png-text-bomb", encode(_RGB, "PNG", pnginfo=text), READY, _IMAGE)


def _convert(mode: str) -> Image.Image:
    if mode == "LAB":
        return Image.frombytes("LAB", _SIZE, bytes(192))
    return _RGB.convert("RGBA" if mode == "LA" else mode).convert(mode)


def _damaged() -> Iterator[Case]:
    for file_format in ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF"):
        whole = encode(_RGB, file_format)
        for percent in (10, 40, 70, 97):
            cut = whole[: len(whole) * percent // 100]
            yield _case(f"{file_format}-cut-at-{percent}-percent", cut, _IMAGE, READY)
        for percent in (15, 50, 85):
            position = len(whole) * percent // 100
            damaged = whole[:position] + b"\xff\x00" * 8 + whole[position + 16 :]
            yield _case(f"{file_format}-damaged-at-{percent}-percent", damaged, _IMAGE, READY)
    chunks = {
        "crc": _png_chunks(crc=1),
        "width-zero": _png_chunks(width=0),
        "height-zero": _png_chunks(height=0),
        "bits-3": _png_chunks(bits=3),
        "color-type-9": _png_chunks(color=9),
        "no-data": _png_chunks(data=b""),
        "data-cut": _png_chunks(data=zlib.compress(bytes(200))[:-5]),
        "no-palette": _png_chunks(color=3),
        "interlace-7": _png_chunks(interlace=7),
        "chunk-length-huge": _png_chunks()[:33] + b"\xff" * 20,
    }
    for name, content in chunks.items():
        yield _case(f"png-{name}", content, _IMAGE, READY)
    yield _case("jpeg-twice", _jpeg() + _jpeg(), READY, filename="odd.jpg")
    yield _case("jpeg-without-data", b"\xff\xd8\xff\xd9", _IMAGE, filename="odd.jpg")


def _png_chunks(  # noqa: PLR0913 - the fields of the header
    *,
    width: int = 8,
    height: int = 8,
    bits: int = 8,
    color: int = 2,
    interlace: int = 0,
    data: bytes | None = None,
    crc: int = 0,
) -> bytes:
    """Return a PNG with these fields in its header."""
    header = struct.pack(">2I5B", width, height, bits, color, 0, 0, interlace)
    body = zlib.compress(bytes(200)) if data is None else data
    content = b"\x89PNG\r\n\x1a\n"
    for kind, payload in ((b"IHDR", header), (b"IDAT", body), (b"IEND", b"")):
        checksum = zlib.crc32(kind + payload) ^ crc
        content += struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", checksum)
    return content


def _bombs() -> Iterator[Case]:
    for side in (9_000, 50_000, 2**31 - 1):
        content = _png_chunks(width=side, height=side)
        yield _case(f"png-bomb-{side}", content, _IMAGE)
    for side in (9_000, 65_535):
        gif = bytearray(encode(_RGB, "GIF"))
        gif[6:10] = struct.pack("<HH", side, side)
        yield _case(f"gif-bomb-{side}", bytes(gif), _IMAGE)
    bmp = bytearray(encode(_RGB, "BMP"))
    for name, (width, height) in {
        "huge": (2**31 - 1, 2**31 - 1),
        "negative": (-8, -8),
        "zero": (0, 0),
    }.items():
        bmp[18:26] = struct.pack("<ii", width, height)
        yield _case(f"bmp-bomb-{name}", bytes(bmp), _IMAGE)
    jpeg = bytearray(_jpeg())
    start = jpeg.find(b"\xff\xc0")
    jpeg[start + 5 : start + 9] = b"\xff\xff\xff\xff"
    yield _case("jpeg-bomb", bytes(jpeg), _IMAGE, filename="odd.jpg")
    yield _case("ppm-bomb", b"P6 99999 99999 255\n" + bytes(99), _IMAGE)
    yield _case("ppm-numbers", b"P3 8 8 255\n" + b"9" * 10_000_000, _IMAGE)
    yield _case("ppm-negative", b"P6 -8 -8 255\n" + bytes(99), _IMAGE)
    yield _case("ppm-white-of-zero", b"P6 8 8 0\n" + bytes(192), _IMAGE)
    webp = bytearray(encode(_RGB, "WEBP", save_all=True, append_images=[_RGB.rotate(90)]))
    start = webp.find(b"VP8X")
    webp[start + 12 : start + 18] = b"\xff" * 6
    yield _case("webp-canvas-bomb", bytes(webp), _IMAGE)
    for tag, value in {
        256: 2**31,
        257: 2**31,
        258: 64,
        277: 65535,
        278: 0,
        259: 99,
        262: 99,
    }.items():
        yield _case(f"tiff-tag-{tag}-{value}", _tiff({tag: value}), _IMAGE, READY)


def _tiff(changes: dict[int, int]) -> bytes:
    """Return an uncompressed gray TIFF with changed tags."""
    tags = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 273: 200, 277: 1, 278: 8, 279: 64} | changes
    body = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    content = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + body + bytes(4)
    return content.ljust(200, b"\0") + bytes(64)


def _other_files() -> Iterator[Case]:
    files = {
        "text": b"this is no image\n" * 9,
        "empty": b"",
        "zeros": bytes(1000),
        "random": np.random.default_rng(3).bytes(999),
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "html": b"<!doctype html>",
        "zip": make_zip({"a": b"b"}),
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n",
        "pickle": b"\x80\x04K\x01.",
        "heic": b"\0\0\0\x18ftypheic" + bytes(99),
        "psd": b"8BPS\0\x01" + bytes(99),
    }
    for name, content in files.items():
        yield _case(f"{name}-named-png", content, _IMAGE)
        yield _case(f"{name}-named-jpg", content, _IMAGE, filename="odd.jpg")


def _whole_sets() -> Iterator[Case]:
    """Sets in which every image is odd in the same way."""
    good = valid_files()
    broken = dict.fromkeys(good, b"no image")
    yield Case("images", "all-broken", "images.zip", make_zip(broken), (_IMAGE,), "train/cat/0.png")
    one = good | {"val/cat/0.png": b"no image"}
    yield Case(
        "images", "one-broken-in-val", "images.zip", make_zip(one), (_IMAGE,), "val/cat/0.png"
    )
    many = {f"train/{label}/{n:03}.png": png(n) for label in ("cat", "dog") for n in range(100)}
    skipped = good | many | {"train/cat/001.png": png(1)[:60]}
    yield Case(
        "images",
        "one-broken-of-200",
        "images.zip",
        make_zip(skipped),
        (READY,),
        "1 training images were skipped",
    )
    floats = np.full((8, 8), np.nan, np.float32)
    nan = encode(Image.fromarray(floats), "TIFF")
    yield _case("float-nan", nan, _IMAGE)
    for name, value in {"huge": 3e38, "negative": -1e30, "tiny": 1e-40}.items():
        content = encode(Image.fromarray(np.full((8, 8), value, np.float32)), "TIFF")
        yield _case(f"float-{name}", content, READY)
    huge = {name: encode(Image.new("RGB", (1, 60_000)), "PNG") for name in list(good)[:5]}
    wide = {name: encode(Image.new("RGB", (60_000, 1)), "PNG") for name in list(good)[5:]}
    yield Case(
        "images", "wide-and-tall", "images.zip", make_zip(huge | wide), (READY, "dataset_too_large")
    )
