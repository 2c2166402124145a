"""WebDataset shards with missing halves, strange labels and damaged tars."""

import io
import tarfile
from collections.abc import Iterator, Mapping

from tests.hostile.case import READY, Case, later
from tests.hostile.cases.samples import make_zip, png

_REFUSED, _UNREADABLE, _LAYOUT = "archive_refused", "archive_unreadable", "layout_invalid"
_IMAGE = "image_unreadable"
_SHARD = "train-000.tar"


def cases() -> Iterator[Case]:
    yield from _labels()
    yield from _samples()
    yield from _shards()


def _samples_of(count: int) -> dict[str, bytes]:
    images = {f"{n:04}.png": png(n) for n in range(count)}
    return images | {f"{n:04}.cls": str(n % 2).encode() for n in range(count)}


def _tar(files: Mapping[str, bytes], *others: tarfile.TarInfo) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in others:
            archive.addfile(info)
    return stream.getvalue()


def _case(
    name: str, train: bytes | Mapping[str, bytes], *outcomes: str, mentions: str = ""
) -> Case:
    return Case("webdataset", name, "a.zip", later(_make_zip, train), outcomes, mentions)


def _make_zip(train: bytes | Mapping[str, bytes]) -> bytes:
    shard = train if isinstance(train, bytes) else _tar(_samples_of(8) | dict(train))
    return make_zip({_SHARD: shard, "val-000.tar": _tar(_samples_of(4))})


def _labels() -> Iterator[Case]:
    labels = {
        "negative": b"-1",
        "fraction": b"0.5",
        "million": b"1000000",
        "ten-thousand-digits": b"9" * 10_000,
        "words": b"cat",
        "not-utf8": b"\xff\xfe",
        "two-lines": b"0\n1",
        "other-digits": "\u0661".encode(),
        "superscript": "\u00b2".encode(),
        "nul": b"0\0",
        "class-missing-in-val": b"2",
        "long": b"x" * 100_000,
    }
    for name, content in labels.items():
        outcomes = (READY, _LAYOUT) if name == "other-digits" else (_LAYOUT,)
        yield _case(f"label-{name}", {"9999.png": png(9), "9999.cls": content}, *outcomes)
    left_out = "1 images without a label were left out"
    for name, content in {"empty": b"", "spaces": b" \n"}.items():
        yield _case(
            f"label-{name}", {"9999.png": png(9), "9999.cls": content}, READY, mentions=left_out
        )
    documents = {
        "cut": b'{"label": 1',
        "nested": b'{"label": ' + b"[" * 100_000,
        "list": b"[1]",
        "number": b"7",
        "huge-number": b'{"label": ' + b"9" * 10_000 + b"}",
        "nan": b'{"label": NaN}',
        "dict": b'{"label": {"a": 1}}',
        "surrogate": b'{"label": "\\ud800"}',
        "empty": b"",
        "null": b'{"label": null}',
    }
    for name, document in documents.items():
        images = {f"{n:04}.png": png(n) for n in range(8)}
        shard = _tar(images | {f"{n:04}.json": document for n in range(8)})
        yield _case(f"json-{name}", shard, READY, _LAYOUT)


def _samples() -> Iterator[Case]:
    left_out = "1 images without a label were left out"
    yield _case("image-without-label", {"9999.png": png(9)}, READY, mentions=left_out)
    yield _case(
        "label-without-image", {"9999.cls": b"0"}, READY, mentions="1 labels without an image"
    )
    both = {"9998.png": png(9), "9999.cls": b"0"}
    yield _case("halves-of-two-samples", both, READY, mentions=left_out)
    yield _case("two-images-of-a-sample", {"0000.jpg": png(9)}, _LAYOUT, mentions="0000")
    yield _case(
        "empty-second-label",
        _tar(_samples_of(8), tarfile.TarInfo("0000.cls")),
        READY,
    )
    yield _case(
        "same-names-in-folders",
        {"a/1.png": png(31), "a/1.cls": b"0", "b/1.png": png(32), "b/1.cls": b"1"},
        READY,
    )
    yield _case(
        "no-labels", _tar({f"{n}.png": png(n) for n in range(8)}), READY, mentions="no labels"
    )
    yield _case("no-images", _tar({f"{n}.cls": b"0" for n in range(8)}), _LAYOUT)
    yield _case("name-of-only-a-suffix", {".png": png(9), ".cls": b"0"}, READY, _LAYOUT)
    yield _case("name-with-many-dots", {"a.b.c.png": png(9)}, READY)
    yield _case("image-broken", {"9999.png": b"text", "9999.cls": b"0"}, _IMAGE, mentions="9999")
    yield _case(
        "image-of-70-megabytes",
        {"9999.png": bytes(70 << 20), "9999.cls": b"0"},
        _REFUSED,
        mentions="9999",
    )
    many = {f"a{n:05}.png": png(n % 50) for n in range(3000)}
    yield _case("images-without-labels-3000", many, READY, mentions="3000 images without a label")


def _shards() -> Iterator[Case]:
    whole = _tar(_samples_of(8))
    for percent in (0, 10, 50, 80):
        yield _case(
            f"shard-cut-at-{percent}-percent",
            whole[: len(whole) * percent // 100],
            _UNREADABLE,
            READY,
            _LAYOUT,
            mentions="" if percent == 80 else "train",
        )
    outside = {"absolute": "/etc/odd.png", "dot-dot": "../odd.png"}
    for name, text in outside.items():
        yield _case(f"shard-name-{name}", {text: png(9)}, _REFUSED, mentions="odd.png")
    link = tarfile.TarInfo("odd.png")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    yield _case("shard-link", _tar(_samples_of(8), link), _REFUSED, mentions="odd.png")
    yield _case("shard-of-text", b"hello" * 500, _UNREADABLE, mentions=_SHARD)
    yield _case("shard-empty", b"", _UNREADABLE, _LAYOUT, mentions="train")
    yield _case("shard-in-a-shard", {"train-001.tar": whole}, READY, _LAYOUT)
    yield _case("shard-followed-by-another", whole + whole, _UNREADABLE)
    size = tarfile.TarInfo("odd.png")
    size.pax_headers = {"size": "-5"}
    yield _case(
        "shard-size-negative", _tar(_samples_of(8), size), READY, _UNREADABLE, _REFUSED, _IMAGE
    )
