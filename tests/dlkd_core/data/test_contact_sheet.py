"""Tests for the contact sheet."""

from pathlib import Path

import torch
from PIL import Image

from dlkd_core.data.contact_sheet import SHEET_FILE, write_contact_sheet
from dlkd_core.data.dataset import DatasetSplit, ImageDataset


def make_split(labels: list[int], size: tuple[int, int] = (8, 8)) -> DatasetSplit:
    """Make single-color images.

    An image's red value is ten times its label. Its green value is ten times the number of earlier
    images in its class.
    """
    images = torch.zeros(len(labels), 3, *size, dtype=torch.uint8)
    for row, label in enumerate(labels):
        images[row, 0] = 10 * max(label, 0) % 256
        images[row, 1] = 10 * labels[:row].count(label)
    return DatasetSplit(images, torch.tensor(labels))


def read_sheet(folder: Path) -> Image.Image:
    return Image.open(folder / SHEET_FILE).convert("RGB")


def test_each_class_has_a_row_of_images_from_all_over_the_split(tmp_path: Path) -> None:
    train = make_split([0, 1] * 24 + [2])
    layout = write_contact_sheet(ImageDataset(train, train, ("a", "b", "c")), tmp_path)
    assert layout == {"columns": 12, "width": 8, "height": 8, "classes": [0, 1, 2]}
    sheet = read_sheet(tmp_path)
    assert sheet.size == (96, 24)
    for row, column, red, green in (
        (0, 0, 0, 0),
        (0, 11, 0, 220),
        (1, 6, 10, 120),
        (2, 0, 20, 0),
        (2, 5, 0, 0),
    ):
        pixel = sheet.getpixel((8 * column + 4, 8 * row + 4))
        assert isinstance(pixel, tuple)
        assert abs(pixel[0] - red) < 9, (row, column)
        assert abs(pixel[1] - green) < 9, (row, column)


def test_large_images_are_scaled_down_and_many_classes_are_sampled(tmp_path: Path) -> None:
    train = make_split(list(range(300)), (10, 200))
    layout = write_contact_sheet(ImageDataset(train, train, tuple(map(str, range(300)))), tmp_path)
    assert (layout["width"], layout["height"]) == (64, 4)
    assert layout["classes"] == list(range(0, 300, 3))


def test_rows_without_labels_have_no_class_and_labeled_val_images_are_preferred(
    tmp_path: Path,
) -> None:
    unlabeled, labeled = make_split([-1] * 20), make_split([0, 1])
    layout = write_contact_sheet(ImageDataset(unlabeled, unlabeled, ()), tmp_path)
    assert layout["classes"] == [None, None]
    assert write_contact_sheet(ImageDataset(unlabeled, labeled, ("a", "b")), tmp_path)[
        "classes"
    ] == [0, 1]
