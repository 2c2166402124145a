"""Tests for resizing images of different sizes to a common size."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dlkd_core.data import ImageDataset, ReadOptions, open_dataset
from dlkd_core.spec import ResizeMode
from tests.dlkd_core.data.sample_images import encode_png, random_images, write_zip

RED, GRAY = [255, 0, 0], [200, 200, 200]


def write_wide_images(path: Path) -> Path:
    """Write a zip of gray 40 x 20 images with red ends, plus one plain gray 20 x 20 image."""
    image = np.full((20, 40, 3), GRAY, np.uint8)
    image[:, :8] = image[:, 32:] = RED
    files = {
        f"{split}/{label}/1.png": encode_png(image) for split in ("train", "val") for label in "ab"
    }
    return write_zip(
        path / "wide.zip",
        files | {"train/a/2.png": encode_png(np.full((20, 20, 3), GRAY, np.uint8))},
    )


def pixel(dataset: ImageDataset, row: int, y: int, x: int) -> list[int]:
    return dataset.train.images[row : row + 1][0, :, y, x].tolist()


def test_by_default_images_are_cropped_to_the_most_common_size(tmp_path: Path) -> None:
    dataset = open_dataset(write_wide_images(tmp_path))
    assert (dataset.image_size, dataset.resize) == ((20, 40), "crop")
    assert pixel(dataset, 0, 0, 0) == RED
    assert (
        "1 images of other sizes were scaled and cropped to the most common size, 20 x 40."
        in dataset.notices
    )


@pytest.mark.parametrize(
    ("resize", "left", "top"),
    [("crop", GRAY, GRAY), ("stretch", RED, GRAY), ("pad", RED, [0, 0, 0])],
)
def test_images_are_cropped_stretched_or_padded_to_the_requested_size(
    tmp_path: Path, resize: ResizeMode, left: list[int], top: list[int]
) -> None:
    dataset = open_dataset(write_wide_images(tmp_path), ReadOptions(image_size=10, resize=resize))
    assert (dataset.image_size, dataset.resize) == ((10, 10), resize)
    assert pixel(dataset, 0, 5, 0) == left
    assert pixel(dataset, 0, 0, 5) == top
    assert pixel(dataset, 0, 5, 5) == GRAY
    assert pixel(dataset, 1, 0, 5) == GRAY  # this image is square, so it needs no crop or padding
    assert "5 images of other sizes" in dataset.notices[0]


@pytest.mark.parametrize("resize", ["crop", "stretch", "pad"])
def test_arrays_and_packed_files_are_resized_like_image_files(
    tmp_path: Path, resize: ResizeMode
) -> None:
    images, labels = random_images(6, side=12), [0, 1, 0, 1, 0, 1]
    files = {
        f"{split}/{label}/{row}.png": encode_png(images[row])
        for split in ("train", "val")
        for row, label in enumerate(labels)
    }
    archive = write_zip(tmp_path / "set.zip", files)
    rows = [0, 2, 4, 1, 3, 5]  # the order in which the sorted class folders are read
    sorted_labels = [labels[row] for row in rows]
    pairs = {
        "train_images": images[rows],
        "train_labels": sorted_labels,
        "val_images": images[rows],
        "val_labels": sorted_labels,
    }
    np.savez(tmp_path / "set.npz", **pairs)
    open_dataset(archive).save(tmp_path / "packed.safetensors")
    options = ReadOptions(image_size=8, resize=resize)
    expected = open_dataset(archive, options).train.images
    assert expected.shape == (6, 3, 8, 8)
    for name in ("set.npz", "packed.safetensors"):
        assert torch.equal(open_dataset(tmp_path / name, options).train.images, expected)
    on_disk = open_dataset(
        tmp_path / "packed.safetensors",
        ReadOptions(image_size=8, resize=resize, max_memory_bytes=100),
    )
    assert on_disk.on_disk
    assert torch.equal(on_disk.train.images[:], expected)


def test_the_packed_file_remembers_how_its_images_were_resized(tmp_path: Path) -> None:
    open_dataset(write_wide_images(tmp_path), ReadOptions(image_size=10, resize="pad")).save(
        tmp_path / "packed.safetensors"
    )
    assert open_dataset(tmp_path / "packed.safetensors").resize == "pad"
