"""The demo's dataset: scikit-learn's handwritten digits.

1,797 scans of 8 x 8 pixels (Alpaydin and Kaynak, UCI, 1998).
"""

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

# This makes 718 images, enough to show differences of less than one point between means of three
# seeds.
_VAL_FRACTION = 0.4


def write_digits(path: Path) -> Path:
    """Write a zip of PNG files under train/<digit>/ and val/<digit>/, with a fixed split."""
    digits = load_digits()
    images = (digits.images * (255 / 16)).round().astype(np.uint8)  # 16 gray levels
    order = np.random.default_rng(0).permutation(len(images))
    val = round(len(order) * _VAL_FRACTION)
    with zipfile.ZipFile(path, "w") as archive:
        for position, row in enumerate(order):
            content = io.BytesIO()
            Image.fromarray(images[row]).save(content, "PNG")
            split = "val" if position < val else "train"
            archive.writestr(f"{split}/{digits.target[row]}/{row:04}.png", content.getvalue())
    return path
