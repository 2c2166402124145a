"""A contact sheet: some images of each class, so that a look tells whether a data set is what it should be."""

from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from dlkd_core.data.packed import Packed, Split

FILE = "samples.webp"
_COLUMNS = 12
_MOST_ROWS = 100
_LONGEST = 64  # pixels of a tile's longer side
_QUALITY = 90
_UNLABELLED_ROWS = 4


@dataclass(frozen=True)
class Sheet:
    """Rows of `columns` tiles of `width` x `height` pixels; `classes` are those of the rows, None where images have no label.

    A class with fewer images than columns leaves the rest of its row black.
    """

    columns: int
    width: int
    height: int
    classes: list[int | None]


def write(data: Packed, folder: Path) -> dict[str, Any]:
    """Writes the sheet of the training images (of val, where those alone have labels) and tells what is where on it."""
    split = data.train if data.train.labelled or not data.val.labelled else data.val
    rows = _rows(split, len(data.classes))
    height, width = _tile(data.size)
    sheet = Image.new("RGB", (_COLUMNS * width, len(rows) * height))
    for row, (_, places) in enumerate(rows):
        for column, image in enumerate(split.images[places]):
            tile = Image.fromarray(image.permute(1, 2, 0).cpu().numpy())
            sheet.paste(tile.resize((width, height), Image.Resampling.BOX), (column * width, row * height))
    sheet.save(folder / FILE, quality=_QUALITY)
    return asdict(Sheet(_COLUMNS, width, height, [label for label, _ in rows]))


def _rows(split: Split, classes: int) -> list[tuple[int | None, Tensor]]:
    if not split.labelled:
        places = _spread(torch.arange(len(split)), _UNLABELLED_ROWS * _COLUMNS)
        return [(None, places[at : at + _COLUMNS]) for at in range(0, len(places), _COLUMNS)]
    chosen = [label * classes // min(classes, _MOST_ROWS) for label in range(min(classes, _MOST_ROWS))]
    return [(label, _spread((split.labels == label).nonzero().flatten(), _COLUMNS)) for label in chosen]


def _spread(places: Tensor, count: int) -> Tensor:
    """At most so many of them, evenly from first to last: neighbours in a file are often alike."""
    if len(places) <= count:
        return places
    return places[(torch.arange(count) * len(places)) // count]


def _tile(size: tuple[int, int]) -> tuple[int, int]:
    shrink = max(1.0, max(size) / _LONGEST)
    height, width = (max(1, ceil(side / shrink)) for side in size)
    return height, width
