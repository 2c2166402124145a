"""Tests for exact and near-duplicates, with images that have known copies."""

from time import perf_counter

import numpy as np
import numpy.typing as npt
from scipy.sparse.csgraph import connected_components

from dlkd_core.data.quality.duplicates import (
    connect_close_hashes,
    find_exact_duplicates,
    find_near_duplicates,
)
from dlkd_core.data.quality.image_measures import ImageMeasures


def make_measures(
    contents: list[int],
    num_train: int,
    labels: list[int] | None = None,
    hashes: list[int] | None = None,
) -> ImageMeasures:
    """Make measures of images that have the same pixels if their `contents` are equal."""
    count = len(contents)
    return ImageMeasures(
        num_train,
        np.array(labels or [0] * count),
        np.array([bytes([number]) for number in contents], "S16"),
        np.zeros(count, np.uint8),
        np.full(count, 255, np.uint8),
        np.ones(count, np.float32),
        np.random.default_rng(0).integers(0, 2**63, count, np.uint64)
        if hashes is None
        else np.array(hashes, np.uint64),
    )


def as_lists(groups: list[npt.NDArray[np.int64]]) -> list[list[int]]:
    return [group.tolist() for group in groups]


def test_exact_duplicates_are_counted_within_and_across_splits() -> None:
    # train: 0 0 0 1 2 3 | val: 1 4 4 4 5
    found = find_exact_duplicates(make_measures([0, 0, 0, 1, 2, 3, 1, 4, 4, 4, 5], num_train=6))
    assert (found.train, found.val, found.across_splits) == (2, 2, 1)
    assert as_lists(found.groups) == [[3, 6], [0, 1, 2], [7, 8, 9]]  # both splits come first
    assert found.label_conflicts == 0


def test_duplicates_with_different_labels_are_conflicts_and_come_before_others() -> None:
    found = find_exact_duplicates(make_measures([0, 0, 1, 1, 2, 2], 6, labels=[0, 0, 1, 2, -1, 0]))
    assert as_lists(found.groups) == [[2, 3], [0, 1], [4, 5]]
    assert (found.label_conflicts, found.train, found.across_splits) == (1, 3, 0)


def test_near_duplicates_exclude_exact_copies() -> None:
    far = 0x00FF00FF00FF00FF
    # The images 0, 1 and 5 look alike, and 0 and 1 have the same pixels.
    measures = make_measures(
        [0, 0, 1, 2, 3, 4, 1],
        5,
        hashes=[far, far, 1 << 63, 2**32 - 1, 0xF0F0, far ^ 0b111, 1 << 63],
    )
    found = find_near_duplicates(measures)
    assert as_lists(found.groups) == [[0, 5]]
    assert (found.train, found.val, found.across_splits) == (0, 0, 1)


def test_groups_of_hashes_are_those_of_a_comparison_of_all_pairs() -> None:
    random = np.random.default_rng(0)
    hashes = random.integers(0, 2**63, 300, np.uint64)
    copies = hashes[random.integers(0, 300, 300)]
    for _ in range(4):  # up to four bits differ, which is one too many
        copies ^= np.uint64(1) << random.integers(0, 64, 300, np.uint64)
    hashes = np.unique(np.concatenate([hashes, copies]))
    close = np.bitwise_count(hashes[:, None] ^ hashes) <= 3
    count, expected = connected_components(close)
    groups = connect_close_hashes(hashes)
    assert 300 < count < len(hashes)
    assert len(np.unique(groups)) == len(np.unique(np.stack([groups, expected]), axis=1).T) == count


def test_very_many_similar_images_are_grouped_in_limited_time() -> None:
    hashes = np.arange(
        20_000, dtype=np.uint64
    )  # three bands agree, and millions of pairs are close
    started = perf_counter()
    assert len(np.unique(connect_close_hashes(hashes))) < 20
    assert perf_counter() - started < 20


def test_a_dataset_without_duplicates_has_no_groups() -> None:
    measures = make_measures([0, 1, 2], 2)
    for found in (find_exact_duplicates(measures), find_near_duplicates(measures)):
        assert (found.groups, found.train, found.val, found.across_splits) == ([], 0, 0, 0)
