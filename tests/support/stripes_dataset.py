"""A dataset that a small network learns in seconds."""

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("diagonal", "horizontal", "vertical")


def write_stripes(path: Path) -> Path:
    """Write a zip of 8 x 8 images in 3 classes, each with 40 training and 20 evaluation images."""
    random = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for split, count in (("train", 40), ("val", 20)):
            for label, name in enumerate(CLASSES):
                for number in range(count):
                    archive.writestr(f"{split}/{name}/{number:03}.png", _draw_stripe(label, random))
    return path


def _draw_stripe(label: int, random: np.random.Generator) -> bytes:
    # The image is noise with a bright stripe. The stripe's direction determines the class.
    image = random.integers(0, 90, (8, 8, 3))
    position = int(random.integers(1, 7))
    pixels = [
        (np.arange(8), np.arange(8)),
        (position, np.arange(8)),
        (np.arange(8), position),
    ]
    rows, columns = pixels[label]
    image[rows, columns] = random.integers(140, 255, 3)
    stream = io.BytesIO()
    Image.fromarray(image.astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()
