"""Small valid datasets, to which the cases add one hostile part."""

import io
import zipfile
from collections.abc import Mapping
from functools import cache

import numpy as np
from PIL import Image

_TRAIN, _VAL = 3, 2


@cache
def png(seed: int = 0, size: tuple[int, int] = (8, 8), mode: str = "RGB") -> bytes:
    """Return a small image of random pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return encode(Image.fromarray(pixels).convert(mode), "PNG")


def encode(image: Image.Image, file_format: str, **options: object) -> bytes:
    """Return the bytes of an image file."""
    stream = io.BytesIO()
    image.save(stream, file_format, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def valid_files(prefix: str = "") -> dict[str, bytes]:
    """Return the files of a valid dataset of two classes, by name."""
    counts = {"train": _TRAIN, "val": _VAL}
    return {
        f"{prefix}{split}/{label}/{number}.png": png(hash_of(f"{split}{label}{number}"))
        for split, count in counts.items()
        for label in ("cat", "dog")
        for number in range(count)
    }


def hash_of(text: str) -> int:
    """Return a small number that is always the same for a text."""
    return sum(text.encode())


def make_zip(files: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """Return a zip archive of the files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()
