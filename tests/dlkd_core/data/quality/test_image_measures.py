"""Tests for the measures of decoded images, against independent implementations."""

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageFilter
from scipy.fft import dctn
from scipy.ndimage import laplace

from dlkd_core.data.decoding.decoded_dataset import DecodedDataset, DecodedSplit
from dlkd_core.data.quality import image_measures
from dlkd_core.data.quality.image_measures import ImageMeasures, measure_images

Pixels = npt.NDArray[np.uint8]


def measure(train: Pixels, val: Pixels | None = None) -> ImageMeasures:
    """Measure images (N, 3, H, W) whose labels are all 0."""
    splits = [
        DecodedSplit(pixels, np.zeros(len(pixels), np.int64))
        for pixels in (train, train[:0] if val is None else val)
    ]
    return measure_images(DecodedDataset(splits[0], splits[1], ("a",), ()))


def smooth_images(count: int, side: int = 32, seed: int = 0) -> Pixels:
    """Make random images with large shapes, like photographs."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 6, 6, 3), np.uint8)
    images = [Image.fromarray(image).resize((side, side), Image.BICUBIC) for image in coarse]
    return np.stack([np.asarray(image).transpose(2, 0, 1) for image in images])


def to_gray(images: Pixels) -> npt.NDArray[np.int64]:
    red, green, blue = images.astype(np.int64).transpose(1, 0, 2, 3)
    return (77 * red + 150 * green + 29 * blue) >> 8


def test_sharpness_is_the_relative_variance_of_the_laplacian() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 9, 7), np.uint8)
    expected = [laplace(image)[1:-1, 1:-1].var() / (image.var() + 1) for image in to_gray(images)]
    assert measure(images).sharpness == pytest.approx(expected, rel=1e-4)


def test_a_blurred_image_is_less_sharp() -> None:
    sharp = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    blurred = Image.fromarray(sharp).filter(ImageFilter.GaussianBlur(2))
    images = np.stack([sharp.transpose(2, 0, 1), np.asarray(blurred).transpose(2, 0, 1)])
    first, second = measure(images).sharpness
    assert second < first / 10


@pytest.mark.parametrize("side", [8, 32, 45])
def test_hash_bits_are_the_low_frequencies_above_their_median(side: int) -> None:
    images = smooth_images(5, side)
    for gray, value in zip(to_gray(images), measure(images).hashes, strict=True):
        # An unnormalized cosine transform is twice the sum per axis, which keeps the order.
        spectrum = dctn(gray.astype(np.float64), type=2)[:8, :8].ravel()
        bits = "".join("01"[int(entry > np.median(spectrum))] for entry in spectrum)
        assert f"{int(value):064b}" == bits


def test_hash_hardly_changes_with_brightness_and_size() -> None:
    images = smooth_images(20)
    brighter = (images * 0.8 + 20).astype(np.uint8)
    larger = images.repeat(2, axis=2).repeat(2, axis=3)
    hashes = measure(images).hashes
    for changed in (brighter, larger):
        assert np.bitwise_count(hashes ^ measure(changed).hashes).max() <= 3
    others = np.bitwise_count(hashes[:, None] ^ hashes)[~np.eye(20, dtype=bool)]
    assert others.min() > 8


def test_empty_images_are_black_white_or_constant() -> None:
    values = [0, 15, 16, 128, 239, 240, 255]
    images = np.array([np.full((3, 4, 4), value, np.uint8) for value in values])
    images[3, 0, 0, 0] += 8  # enough contrast
    measures = measure(images)
    assert measures.black.tolist() == [True, True, False, False, False, False, False]
    assert measures.constant.tolist() == [False, False, True, False, True, False, False]
    assert measures.white.tolist() == [False] * 5 + [True] * 2
    assert measures.is_empty.tolist() == [True, True, True, False, True, True, True]


def test_chunks_and_rows_do_not_change_the_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    images = smooth_images(10)
    whole = measure(images[[4, 2, 9]], images[:1])
    monkeypatch.setattr(image_measures, "_CHUNK_BYTES", 2 * 3 * 32 * 32)
    rows = np.array([4, 2, 9])
    train = DecodedSplit(images, np.zeros(3, np.int64), rows)
    val = DecodedSplit(images[:1], np.zeros(1, np.int64))
    chunked = measure_images(DecodedDataset(train, val, ("a",), ()))
    for name in ("digests", "smallest", "largest", "hashes"):
        assert (getattr(chunked, name) == getattr(whole, name)).all()
    assert chunked.sharpness == pytest.approx(whole.sharpness, rel=1e-5)
    assert (chunked.num_train, len(chunked.labels)) == (3, 4)


def test_images_of_one_pixel_have_no_sharpness() -> None:
    assert np.isnan(measure(np.zeros((2, 3, 1, 1), np.uint8)).sharpness).all()
