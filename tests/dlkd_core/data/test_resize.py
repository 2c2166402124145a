"""How images of several sizes become one."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dlkd_core.data import Packed, Reading, open_dataset
from dlkd_core.spec import Resize
from tests.dlkd_core.data.pictures import noise, png, zipped

RED, GREY = [255, 0, 0], [200, 200, 200]


def wide(path: Path) -> Path:
    """Images of 40 x 20 pixels, red at both ends, and a square grey one of 20 x 20."""
    image = np.full((20, 40, 3), GREY, np.uint8)
    image[:, :8] = image[:, 32:] = RED
    files = {f"{split}/{label}/1.png": png(image) for split in ("train", "val") for label in "ab"}
    return zipped(path / "wide.zip", files | {"train/a/2.png": png(np.full((20, 20, 3), GREY, np.uint8))})


def pixel(packed: Packed, row: int, y: int, x: int) -> list[int]:
    return packed.train.images[row : row + 1][0, :, y, x].tolist()


def test_left_out_the_most_common_size_is_taken_and_others_are_cropped(tmp_path: Path) -> None:
    packed = open_dataset(wide(tmp_path))
    assert (packed.size, packed.resize) == ((20, 40), "crop")
    assert pixel(packed, 0, 0, 0) == RED
    assert "1 images of other sizes were scaled and cropped to the most common, 20 x 40." in packed.notices


@pytest.mark.parametrize(
    ("resize", "left", "top"),
    [("crop", GREY, GREY), ("stretch", RED, GREY), ("pad", RED, [0, 0, 0])],
)
def test_images_are_cropped_stretched_or_padded_to_the_size_that_is_asked_for(
    tmp_path: Path, resize: Resize, left: list[int], top: list[int]
) -> None:
    packed = open_dataset(wide(tmp_path), Reading(size=10, resize=resize))
    assert (packed.size, packed.resize) == ((10, 10), resize)
    assert pixel(packed, 0, 5, 0) == left
    assert pixel(packed, 0, 0, 5) == top
    assert pixel(packed, 0, 5, 5) == GREY
    assert pixel(packed, 1, 0, 5) == GREY  # the square one fits as it is
    assert "5 images of other sizes" in packed.notices[0]


@pytest.mark.parametrize("resize", ["crop", "stretch", "pad"])
def test_arrays_and_packed_files_are_brought_to_the_size_as_images_are(tmp_path: Path, resize: Resize) -> None:
    images, labels = noise(6, side=12), [0, 1, 0, 1, 0, 1]
    files = {f"{split}/{label}/{row}.png": png(images[row]) for split in ("train", "val") for row, label in enumerate(labels)}
    whole = zipped(tmp_path / "set.zip", files)
    rows = [0, 2, 4, 1, 3, 5]  # as the folders are sorted
    sorted_labels = [labels[row] for row in rows]
    pairs = {"train_images": images[rows], "train_labels": sorted_labels, "val_images": images[rows], "val_labels": sorted_labels}
    np.savez(tmp_path / "set.npz", **pairs)
    open_dataset(whole).save(tmp_path / "packed.safetensors")
    reading = Reading(size=8, resize=resize)
    expected = open_dataset(whole, reading).train.images
    assert expected.shape == (6, 3, 8, 8)
    for name in ("set.npz", "packed.safetensors"):
        assert torch.equal(open_dataset(tmp_path / name, reading).train.images, expected)
    on_disk = open_dataset(tmp_path / "packed.safetensors", Reading(size=8, resize=resize, memory_bytes=100))
    assert on_disk.on_disk
    assert torch.equal(on_disk.train.images[:], expected)


def test_the_packed_file_remembers_how_its_images_were_resized(tmp_path: Path) -> None:
    open_dataset(wide(tmp_path), Reading(size=10, resize="pad")).save(tmp_path / "packed.safetensors")
    assert open_dataset(tmp_path / "packed.safetensors").resize == "pad"
