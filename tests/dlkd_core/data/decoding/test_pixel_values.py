"""Tests for images with more than 8 bits, of many sizes, and that show nothing or occur twice."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlkd_core.data import open_dataset
from dlkd_core.data.dataset import ImageDataset
from tests.dlkd_core.data.sample_images import encode_png, random_images, write_zip

GRAY = np.linspace(0, 1, 64).reshape(8, 8)  # from black to white


def encode(values: Any, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, kind)
    return stream.getvalue()


def open_images(tmp_path: Path, images: list[bytes], suffix: str = "png") -> ImageDataset:
    """Open a dataset whose images are the given ones, in two classes and both splits."""
    files = {
        f"{split}/{label}/{number}.{suffix}": image
        for split in ("train", "val")
        for label in "ab"
        for number, image in enumerate(images)
    }
    return open_dataset(write_zip(tmp_path / "set.zip", files))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        pytest.param(GRAY.astype(np.float32), "TIFF", id="floats up to 1"),
        pytest.param((GRAY * 255).astype(np.float32), "TIFF", id="floats up to 255"),
        pytest.param((GRAY * 4095).astype(np.uint16), "PNG", id="12 of 16 bits"),
        pytest.param((GRAY * 65535).astype(np.uint16), "PNG", id="16 bits"),
        pytest.param((GRAY * 1e6).astype(np.int32), "TIFF", id="32 bits"),
        pytest.param((GRAY * 2 - 1).astype(np.float32), "TIFF", id="from -1 to 1"),
    ],
)
def test_values_with_more_than_8_bits_are_scaled_and_stated(
    tmp_path: Path, values: Any, kind: str
) -> None:
    image = encode(values, kind)
    dataset = open_images(tmp_path, [image, image], "tif" if kind == "TIFF" else "png")
    difference = dataset.train.images[0, 0].numpy() - GRAY * 255
    assert np.abs(difference).max() <= 1
    (notice,) = (text for text in dataset.notices if "more than 8 bits" in text)
    assert notice.startswith("8 images have values with more than 8 bits")


def test_all_images_are_scaled_by_the_range_of_the_dataset(tmp_path: Path) -> None:
    dark, bright = ((GRAY * largest).astype(np.uint16) for largest in (1000, 4000))
    dataset = open_images(tmp_path, [encode(dark), encode(bright)])
    largest = dataset.train.images.amax(dim=(1, 2, 3)).tolist()
    assert largest == [62, 249, 62, 249]  # of 4095, which is white


def test_an_image_with_nan_is_unreadable(tmp_path: Path) -> None:
    broken = GRAY.astype(np.float32).copy()
    broken[0, 0] = np.nan
    images = [encode(GRAY.astype(np.float32), "TIFF")] * 200
    files = {f"train/{label}/{n}.tif": image for label in "ab" for n, image in enumerate(images)}
    files |= {f"val/{label}/0.tif": images[0] for label in "ab"}
    dataset = open_dataset(
        write_zip(tmp_path / "set.zip", files | {"train/a/broken.tif": encode(broken, "TIFF")})
    )
    assert any("broken.tif contains NaN" in notice for notice in dataset.notices)


def test_images_of_many_sizes_get_the_median_size(tmp_path: Path) -> None:
    sizes = [(20 + 2 * n, 60 + n) for n in range(11)]
    images = [encode_png(np.full((*size, 3), 90, np.uint8)) for size in sizes]
    dataset = open_images(tmp_path, [*images[5:], *images[:5]])
    assert dataset.image_size == (30, 65)
    assert any("to the median size, 30 x 65" in notice for notice in dataset.notices)


def test_strongly_enlarged_images_are_counted(tmp_path: Path) -> None:
    sizes = [(16, 16)] * 3 + [(4, 4)]
    dataset = open_images(tmp_path, [encode_png(np.full((*s, 3), 90, np.uint8)) for s in sizes])
    assert "4 images were enlarged more than 2 times." in dataset.notices


def test_images_in_both_splits_are_counted(tmp_path: Path) -> None:
    train, val = random_images(6, seed=1), random_images(4, seed=2)
    val[1] = train[3]
    files = {f"train/{'ab'[n % 2]}/{n}.png": encode_png(image) for n, image in enumerate(train)}
    files |= {f"val/{'ab'[n % 2]}/{n}.png": encode_png(image) for n, image in enumerate(val)}
    dataset = open_dataset(write_zip(tmp_path / "set.zip", files))
    assert dataset.notices[-1].startswith("1 of 4 evaluation images are also in the training split")


def test_black_and_constant_images_are_counted(tmp_path: Path) -> None:
    images = [encode_png(np.full((8, 8, 3), value, np.uint8)) for value in (0, 15, 200)]
    textured = [encode_png(image) for image in random_images(2)]
    dataset = open_images(tmp_path, [*images, *textured])
    assert "8 of 20 images are almost black." in dataset.notices
    assert "4 of 20 images have almost only one color." in dataset.notices


def test_avif_images_are_read(tmp_path: Path) -> None:
    images = [encode(np.full((8, 8, 3), value, np.uint8), "AVIF") for value in (40, 200)]
    dataset = open_images(tmp_path, images, "avif")
    assert dataset.train.images[0].float().mean().item() == pytest.approx(40, abs=3)
