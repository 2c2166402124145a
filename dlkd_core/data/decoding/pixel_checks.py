"""Checks of decoded images: duplicates in both splits, and images that show nothing."""

from collections.abc import Iterator
from hashlib import blake2b

from dlkd_core.data.decoding.decoded_dataset import DecodedDataset, DecodedSplit
from dlkd_core.data.decoding.image import Pixels

_MAX_BLACK = 16  # largest value in an image that counts as black
_MIN_CONTRAST = 8  # smallest difference between the values of an image that is not constant


def describe_suspicious_images(dataset: DecodedDataset) -> list[str]:
    """Return notices about images in both splits, and about black and constant images."""
    train: set[bytes] = set()
    black = constant = leaked = 0
    for split in (dataset.train, dataset.val):
        for image in _iter_images(split):
            digest = blake2b(image.tobytes(), digest_size=16).digest()
            if split is dataset.train:
                train.add(digest)
            else:
                leaked += digest in train
            largest, smallest = int(image.max()), int(image.min())
            black += largest < _MAX_BLACK
            constant += largest >= _MAX_BLACK and largest - smallest < _MIN_CONTRAST
    total = len(dataset.train.labels) + len(dataset.val.labels)
    num_val = len(dataset.val.labels)
    notices = []
    if leaked:
        notices.append(
            f"{leaked} of {num_val} evaluation images are also in the training split, with the same"
            " pixels. The measured accuracies are therefore too high."
        )
    if black:
        notices.append(f"{black} of {total} images are almost black.")
    if constant:
        notices.append(f"{constant} of {total} images have almost only one color.")
    return notices


def _iter_images(split: DecodedSplit) -> Iterator[Pixels]:
    rows = range(len(split.pixels)) if split.rows is None else split.rows
    for row in rows:
        yield split.pixels[row]
