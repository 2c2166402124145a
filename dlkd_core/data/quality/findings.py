"""Images that deserve a look: duplicates, empty, blurred and oddly shaped images."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from dlkd_core.data.decoding.decoded_dataset import DecodedDataset
from dlkd_core.data.quality.duplicates import (
    Duplicates,
    Indices,
    find_exact_duplicates,
    find_near_duplicates,
)
from dlkd_core.data.quality.image_measures import ImageMeasures, Mask

MAX_EXAMPLES = 12
_MAX_ASPECT_RATIO = 3.0
# An image is blurred if the logarithm of its sharpness is this many standard deviations below the
# median, estimated from the median absolute deviation, and if it is this much less sharp.
_BLUR_DEVIATIONS = 4.0
_MIN_BLUR_RATIO = 5.0
_DEVIATIONS_PER_MAD = 1.4826  # for a normal distribution


class FindingKind(StrEnum):
    EXACT_DUPLICATES = "exact_duplicates"
    NEAR_DUPLICATES = "near_duplicates"
    BLACK = "black"
    WHITE = "white"
    CONSTANT = "constant"
    BLURRED = "blurred"
    ODD_SHAPE = "odd_shape"


@dataclass(frozen=True)
class Finding:
    """The images that one check has found.

    Args:
        kind: the check.
        train: number of training images.
        val: number of evaluation images.
        groups: up to `MAX_EXAMPLES` images as indices into the measures. Duplicates are in groups,
            and every other image is a group of its own.
        duplicates: what else is known about duplicates, or None for other checks.
    """

    kind: FindingKind
    train: int
    val: int
    groups: Sequence[Indices]
    duplicates: Duplicates | None = None


def find_issues(dataset: DecodedDataset, measures: ImageMeasures) -> list[Finding]:
    """Return the findings of all checks, including those that found nothing."""
    return [
        _from_duplicates(FindingKind.EXACT_DUPLICATES, find_exact_duplicates(measures)),
        _from_duplicates(FindingKind.NEAR_DUPLICATES, find_near_duplicates(measures)),
        _from_mask(FindingKind.BLACK, measures, measures.black),
        _from_mask(FindingKind.WHITE, measures, measures.white),
        _from_mask(FindingKind.CONSTANT, measures, measures.constant),
        _from_ranking(FindingKind.BLURRED, measures, _rank_blurred(measures)),
        _from_ranking(FindingKind.ODD_SHAPE, measures, _rank_odd_shapes(dataset)),
    ]


def describe_findings(measures: ImageMeasures) -> list[str]:
    """Return the notices about images that are in several splits and about empty images."""
    total = len(measures.labels)
    leaked = find_exact_duplicates(measures).across_splits
    black, white, constant = (
        int(mask.sum()) for mask in (measures.black, measures.white, measures.constant)
    )
    notices = []
    if leaked:
        notices.append(
            f"{leaked} of {total - measures.num_train} evaluation images are also in the training"
            " split, with the same pixels. The measured accuracies are therefore too high."
        )
    if measures.num_test_duplicates and measures.test_digests is not None:
        notices.append(
            f"{measures.num_test_duplicates} of {len(measures.test_digests)} test images are also"
            " in the train or val split, with the same pixels. The test accuracies are therefore"
            " too high."
        )
    if black:
        notices.append(f"{black} of {total} images are almost black.")
    if white:
        notices.append(f"{white} of {total} images are almost white.")
    if constant:
        notices.append(f"{constant} of {total} images have almost only one color.")
    return notices


def _rank_blurred(measures: ImageMeasures) -> Indices:
    """Return the images that are much less sharp than the others, the least sharp ones first."""
    shown = np.flatnonzero(~measures.is_empty & np.isfinite(measures.sharpness))
    if not len(shown):
        return shown
    logarithms = np.log(measures.sharpness[shown] + 1e-6)
    median = np.median(logarithms)
    deviation = _DEVIATIONS_PER_MAD * np.median(np.abs(logarithms - median))
    limit = median - max(_BLUR_DEVIATIONS * deviation, np.log(_MIN_BLUR_RATIO))
    blurred = np.flatnonzero(logarithms < limit)
    return shown[blurred[np.argsort(logarithms[blurred], kind="stable")]]


def _rank_odd_shapes(dataset: DecodedDataset) -> Indices:
    """Return the images whose files are very long or high, the most extreme ones first."""
    formats = [image.format for split in (dataset.train, dataset.val) for image in split.sources]
    sides = np.array([(file.height, file.width) for file in formats], np.int64).reshape(-1, 2)
    ratios = sides.max(axis=1) / sides.min(axis=1)
    odd = np.flatnonzero(ratios > _MAX_ASPECT_RATIO)
    return odd[np.argsort(-ratios[odd], kind="stable")]


def _from_mask(kind: FindingKind, measures: ImageMeasures, mask: Mask) -> Finding:
    return _from_ranking(kind, measures, np.flatnonzero(mask))


def _from_ranking(kind: FindingKind, measures: ImageMeasures, indices: Indices) -> Finding:
    train = int((indices < measures.num_train).sum())
    groups = [indices[place : place + 1] for place in range(min(MAX_EXAMPLES, len(indices)))]
    return Finding(kind, train, len(indices) - train, groups)


def _from_duplicates(kind: FindingKind, duplicates: Duplicates) -> Finding:
    """Show as many groups as possible, and up to two images of each group if there are many."""
    per_group = max(2, MAX_EXAMPLES // max(1, len(duplicates.groups)))
    groups = [
        _choose_members(group, per_group)
        for group in duplicates.groups[: MAX_EXAMPLES // per_group]
    ]
    return Finding(kind, duplicates.train, duplicates.val, groups, duplicates)


def _choose_members(group: Indices, count: int) -> Indices:
    """Return the first images of a group and its last one, which is of the other split, if any."""
    return group if len(group) <= count else np.append(group[: count - 1], group[-1])
