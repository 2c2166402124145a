"""Thumbnails of the images that the checks of a dataset have found, as one image."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from dlkd_core.data.contact_sheet import SHEET_QUALITY, make_tile, tile_size
from dlkd_core.data.dataset import ImageDataset
from dlkd_core.data.quality.findings import MAX_EXAMPLES, Finding

EXAMPLES_FILE = "examples.webp"


def write_example_sheet(
    dataset: ImageDataset, findings: Sequence[Finding], folder: Path
) -> tuple[int, int] | None:
    """Write `examples.webp` and return the height and width of its tiles.

    Each finding with examples has a row of up to `MAX_EXAMPLES` tiles, in the order of `findings`.
    If there are no examples, no file is written and the result is None.
    """
    rows = [np.concatenate(finding.groups) for finding in findings if finding.groups]
    if not rows:
        return None
    height, width = tile_size(dataset.image_size)
    sheet = Image.new("RGB", (MAX_EXAMPLES * width, len(rows) * height))
    num_train = len(dataset.train)
    for row, indices in enumerate(rows):
        for column, index in enumerate(indices.tolist()):
            in_train = index < num_train
            images = dataset.train.images if in_train else dataset.val.images
            place = index if in_train else index - num_train
            tile = make_tile(images[place : place + 1][0], (height, width))
            sheet.paste(tile, (column * width, row * height))
    sheet.save(folder / EXAMPLES_FILE, quality=SHEET_QUALITY)
    return height, width
