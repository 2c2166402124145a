"""Contact sheet: sample images from each class, to check a dataset at a glance."""

from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from dlkd_core.catalog.architectures.architecture import RGB_CHANNELS
from dlkd_core.data.dataset import DatasetSplit, ImageDataset

SHEET_FILE = "samples.webp"
SHEET_QUALITY = 90
_COLUMNS = 12
_MAX_ROWS = 100
_MAX_TILE_SIDE = 64  # maximum length of a tile's longer side, in pixels
_UNLABELED_ROWS = 4


@dataclass(frozen=True)
class ContactSheet:
    """The layout of a contact sheet.

    Each row shows up to `columns` images of one class. If a class has fewer images, the rest of its
    row is black.

    Args:
        columns: tiles per row.
        width: width of a tile in pixels.
        height: height of a tile in pixels.
        classes: label of each row, or None for a row of unlabeled images.
    """

    columns: int
    width: int
    height: int
    classes: list[int | None]


def write_contact_sheet(dataset: ImageDataset, folder: Path) -> dict[str, Any]:
    """Write the contact sheet as `samples.webp` and return its layout.

    Shows training images, or evaluation images if only those have labels.
    """
    only_val_labeled = dataset.val.is_labeled and not dataset.train.is_labeled
    split = dataset.val if only_val_labeled else dataset.train
    rows = _choose_rows(split, len(dataset.classes))
    height, width = tile_size(dataset.image_size)
    sheet = Image.new("RGB", (_COLUMNS * width, len(rows) * height))
    for row, (_, indices) in enumerate(rows):
        for column, image in enumerate(split.images[indices]):
            sheet.paste(make_tile(image, (height, width)), (column * width, row * height))
    sheet.save(folder / SHEET_FILE, quality=SHEET_QUALITY)
    return asdict(ContactSheet(_COLUMNS, width, height, [label for label, _ in rows]))


def _to_rgb(image: Tensor) -> Tensor:
    """Return an image (C, H, W) as (3, H, W): its first three channels, or the first of fewer."""
    return image[:RGB_CHANNELS] if len(image) >= RGB_CHANNELS else image[:1].expand(3, -1, -1)


def _choose_rows(split: DatasetSplit, num_classes: int) -> list[tuple[int | None, Tensor]]:
    """Return the label of each row and the indices of its images."""
    if not split.is_labeled:
        indices = _evenly_spaced(torch.arange(len(split)), _UNLABELED_ROWS * _COLUMNS)
        starts = range(0, len(indices), _COLUMNS)
        return [(None, indices[start : start + _COLUMNS]) for start in starts]
    num_rows = min(num_classes, _MAX_ROWS)
    labels = [row * num_classes // num_rows for row in range(num_rows)]
    return [
        (label, _evenly_spaced((split.labels == label).nonzero().flatten(), _COLUMNS))
        for label in labels
    ]


def _evenly_spaced(indices: Tensor, count: int) -> Tensor:
    """Return up to `count` evenly spaced indices, because adjacent images are often alike."""
    if len(indices) <= count:
        return indices
    return indices[(torch.arange(count) * len(indices)) // count]


def make_tile(image: Tensor, size: tuple[int, int]) -> Image.Image:
    """Return an image (C, H, W) uint8 as a tile of the given height and width."""
    height, width = size
    tile = Image.fromarray(_to_rgb(image).permute(1, 2, 0).cpu().numpy())
    return tile.resize((width, height), Image.Resampling.BOX)


def tile_size(image_size: tuple[int, int]) -> tuple[int, int]:
    """Return the height and width of the tiles of images of the given height and width."""
    factor = max(1.0, max(image_size) / _MAX_TILE_SIDE)
    height, width = (max(1, ceil(side / factor)) for side in image_size)
    return height, width
