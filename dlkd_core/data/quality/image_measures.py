"""Measures of every decoded image: a digest, brightness, sharpness and a perceptual hash.

The measures are computed in one pass, in chunks that fit into the processor's cache. They work on
whole chunks, because a library that works on single images, such as ImageHash, takes more than
fifty times as long for small images.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from hashlib import blake2b
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from dlkd_core.catalog.architectures.architecture import RGB_CHANNELS
from dlkd_core.data.decoding.decoded_dataset import DecodedDataset, DecodedSplit
from dlkd_core.data.decoding.image import Pixels

_CHUNK_BYTES = 256 << 10
_MAX_BLACK = 16  # largest value in an image that counts as black
_MIN_WHITE = 240  # smallest value in an image that counts as white
_MIN_CONTRAST = 8  # smallest difference between the values of an image that is not constant
_GRAY_WEIGHTS = (77, 150, 29)  # of red, green and blue (ITU-R BT.601), in 256ths
_HASH_SIDE = 8  # the hash has one bit for each of the 8 x 8 lowest frequencies

Mask = npt.NDArray[np.bool_]
Gray = npt.NDArray[np.int16]  # (N, H, W) in [0, 255]


@dataclass(frozen=True)
class ImageMeasures:
    """Measures of the training images, followed by those of the evaluation images.

    Args:
        num_train: number of training images.
        labels: class indices (N,) int64, -1 without a label.
        digests: digests of the pixels, (N,) bytes.
        smallest: smallest pixel value, (N,) uint8.
        largest: largest pixel value, (N,) uint8.
        sharpness: variance of the Laplacian divided by the variance of the image, both of the gray
            values, (N,) float32. An image that is smaller than 3 x 3 pixels has NaN.
        hashes: perceptual hash, (N,) uint64.
        test_digests: digests of the pixels of the test split, (M,) bytes, or None without one.
    """

    num_train: int
    labels: npt.NDArray[np.int64]
    digests: npt.NDArray[np.bytes_]
    smallest: npt.NDArray[np.uint8]
    largest: npt.NDArray[np.uint8]
    sharpness: npt.NDArray[np.float32]
    hashes: npt.NDArray[np.uint64]
    test_digests: npt.NDArray[np.bytes_] | None = None

    @property
    def num_test_duplicates(self) -> int | None:
        """Number of test images that are also in another split, or None without a test split."""
        if self.test_digests is None:
            return None
        return int(np.isin(self.test_digests, self.digests).sum())

    @property
    def black(self) -> Mask:
        """Whether each image is almost black."""
        return self.largest < _MAX_BLACK

    @property
    def white(self) -> Mask:
        """Whether each image is almost white."""
        return self.smallest >= _MIN_WHITE

    @property
    def constant(self) -> Mask:
        """Whether each image has almost only one color that is neither black nor white."""
        is_flat = self.largest - self.smallest < _MIN_CONTRAST
        return is_flat & ~self.black & ~self.white

    @property
    def is_empty(self) -> Mask:
        """Whether each image shows nothing: it is black, white or constant."""
        return self.black | self.white | self.constant


def measure_images(dataset: DecodedDataset) -> ImageMeasures:
    """Measure every image of both splits. Of the test images, only the digests are computed."""
    splits = (dataset.train, dataset.val)
    chunks = [_measure_chunk(chunk) for split in splits for chunk in _iter_chunks(split)]
    measures: list[npt.NDArray[Any]] = [
        np.concatenate(parts) for parts in zip(*chunks, strict=True)
    ]
    labels = np.concatenate([split.labels for split in splits])
    measured = ImageMeasures(len(dataset.train.labels), labels, *measures)
    if dataset.test is None:
        return measured
    digests = [_digest_images(chunk) for chunk in _iter_chunks(dataset.test)]
    return replace(measured, test_digests=np.concatenate(digests))


def _iter_chunks(split: DecodedSplit) -> Iterator[Pixels]:
    count = max(1, _CHUNK_BYTES // prod(split.pixels.shape[1:]))
    for start in range(0, len(split.labels), count):
        stop = start + count
        yield split.pixels[slice(start, stop) if split.rows is None else split.rows[start:stop]]


def _digest_images(images: Pixels) -> npt.NDArray[np.bytes_]:
    digests = [blake2b(image.tobytes(), digest_size=16).digest() for image in images]
    return np.array(digests, "S16")


def _measure_chunk(images: Pixels) -> tuple[npt.NDArray[Any], ...]:
    """Return the digests, smallest and largest values, sharpness and hashes of a chunk."""
    values = images.reshape(len(images), -1)
    gray = _to_gray(images)
    return (
        _digest_images(images),
        values.min(axis=1),
        values.max(axis=1),
        _measure_sharpness(gray),
        _hash_images(gray),
    )


def _to_gray(images: Pixels) -> Gray:
    if images.shape[1] != RGB_CHANNELS:
        mean: Gray = images.mean(axis=1).astype(np.int16)
        return mean
    red, green, blue = (np.uint16(weight) for weight in _GRAY_WEIGHTS)
    gray = images[:, 0] * red
    gray += images[:, 1] * green
    gray += images[:, 2] * blue
    gray >>= 8
    return gray.view(np.int16)


def _measure_sharpness(gray: Gray) -> npt.NDArray[np.float32]:
    """Return the variance of the Laplacian, divided by the variance of the gray values.

    The Laplacian of a blurred image is small (Pech-Pacheco et al. 2000). So is that of a scene with
    little contrast, such as a plane in the sky, which the division makes up for.
    """
    if min(gray.shape[1:]) < 3:
        return np.full(len(gray), np.nan, np.float32)
    laplacian = gray[:, 1:-1, :-2] + gray[:, 1:-1, 2:]
    laplacian += gray[:, :-2, 1:-1]
    laplacian += gray[:, 2:, 1:-1]
    laplacian -= 4 * gray[:, 1:-1, 1:-1]
    # The variance of the rounding to whole gray values keeps the result of flat images small.
    return _variance(laplacian) / (_variance(gray) + 1)


def _variance(values: Gray) -> npt.NDArray[np.float32]:
    # Faster than ndarray.var, which makes two more arrays of this size
    flat = values.reshape(len(values), -1).astype(np.float32)
    mean = flat.mean(axis=1)
    squares = np.einsum("ij,ij->i", flat, flat) / flat.shape[1]
    variance: npt.NDArray[np.float32] = np.maximum(squares - mean * mean, 0)
    return variance


def _hash_images(gray: Gray) -> npt.NDArray[np.uint64]:
    """Return the perceptual hash ("pHash") of each image.

    Each bit says whether the coefficient of a low frequency of the discrete cosine transform is
    larger than the median coefficient of the image. The bits hardly change if the image is
    compressed, resized, or becomes brighter or darker (Zauner 2010).
    """
    height, width = gray.shape[1:]
    spectrum = _low_frequencies(height) @ gray.astype(np.float32) @ _low_frequencies(width).T
    flat = spectrum.reshape(len(gray), -1)  # (N, 64)
    bits = flat > np.median(flat, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(">u8")[:, 0].astype(np.uint64)


@cache
def _low_frequencies(length: int) -> npt.NDArray[np.float32]:
    """Return the first cosines of the discrete cosine transform, (8, length)."""
    positions = (2 * np.arange(length) + 1) / (2 * length)
    frequencies = np.arange(_HASH_SIDE)[:, None]
    return (np.cos(np.pi * frequencies * positions) / length).astype(np.float32)
