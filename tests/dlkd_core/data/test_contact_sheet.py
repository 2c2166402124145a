"""Some images of each class on one picture."""

from pathlib import Path

import torch
from PIL import Image

from dlkd_core.data import contact_sheet
from dlkd_core.data.packed import Packed, Split


def split_of(labels: list[int], size: tuple[int, int] = (8, 8)) -> Split:
    """Images whose red is ten times their label and whose green is ten times their place in it."""
    images = torch.zeros(len(labels), 3, *size, dtype=torch.uint8)
    for row, label in enumerate(labels):
        images[row, 0] = 10 * max(label, 0) % 256
        images[row, 1] = 10 * labels[:row].count(label)
    return Split(images, torch.tensor(labels))


def drawn(folder: Path) -> Image.Image:
    return Image.open(folder / contact_sheet.FILE).convert("RGB")


def test_each_class_has_a_row_of_images_from_all_over_the_split(tmp_path: Path) -> None:
    train = split_of([0, 1] * 24 + [2])
    layout = contact_sheet.write(Packed(train, train, ("a", "b", "c")), tmp_path)
    assert layout == {"columns": 12, "width": 8, "height": 8, "classes": [0, 1, 2]}
    picture = drawn(tmp_path)
    assert picture.size == (96, 24)
    for row, column, red, green in ((0, 0, 0, 0), (0, 11, 0, 220), (1, 6, 10, 120), (2, 0, 20, 0), (2, 5, 0, 0)):
        found = picture.getpixel((8 * column + 4, 8 * row + 4))
        assert isinstance(found, tuple)
        assert abs(found[0] - red) < 9, (row, column)
        assert abs(found[1] - green) < 9, (row, column)


def test_large_images_are_shown_small_and_of_many_classes_some(tmp_path: Path) -> None:
    train = split_of(list(range(300)), (10, 200))
    layout = contact_sheet.write(Packed(train, train, tuple(map(str, range(300)))), tmp_path)
    assert (layout["width"], layout["height"]) == (64, 4)
    assert layout["classes"] == list(range(0, 300, 3))


def test_without_labels_the_rows_have_no_class_and_labels_of_val_are_looked_for(tmp_path: Path) -> None:
    bare, labelled = split_of([-1] * 20), split_of([0, 1])
    layout = contact_sheet.write(Packed(bare, bare, ()), tmp_path)
    assert layout["classes"] == [None, None]
    assert contact_sheet.write(Packed(bare, labelled, ("a", "b")), tmp_path)["classes"] == [0, 1]
