"""Groups of images with the same pixels, and of images that look the same."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dlkd_core.data.quality.image_measures import ImageMeasures

_HASH_BITS = 64
_MAX_DISTANCE = 3  # hashes of near-duplicates differ in at most this many bits
_BANDS = _MAX_DISTANCE + 1
_BAND_BITS = _HASH_BITS // _BANDS
# Within a band, each hash is compared with at most this many others, which limits the time if very
# many images look alike.
_MAX_COMPARISONS = 1024

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Duplicates:
    """Groups of images that are the same or nearly the same.

    Args:
        groups: groups of at least two images, as indices into the measures in ascending order.
            Groups with images of both splits come first, then groups with different labels.
        train: number of training images that repeat an earlier training image.
        val: number of evaluation images that repeat an earlier evaluation image.
        across_splits: number of evaluation images that repeat a training image.
        label_conflicts: number of groups whose images have different labels.
    """

    groups: list[Indices]
    train: int
    val: int
    across_splits: int
    label_conflicts: int


def find_exact_duplicates(measures: ImageMeasures) -> Duplicates:
    """Find images with the same pixels."""
    contents = _number_contents(measures)
    groups = _split_groups(np.arange(len(contents)), contents)
    num_train = [_count_train(measures, group) for group in groups]
    across = [
        len(group) - count if count else 0 for group, count in zip(groups, num_train, strict=True)
    ]
    return _summarize(measures, groups, across)


def find_near_duplicates(measures: ImageMeasures) -> Duplicates:
    """Find images that look the same but have different pixels.

    Images that show nothing are left out. So are further images with exactly the same pixels and
    split.
    """
    contents = _number_contents(measures)
    in_val = np.arange(len(contents)) >= measures.num_train
    shown = np.flatnonzero(~measures.is_empty)
    _, first = np.unique(2 * contents[shown] + in_val[shown], return_index=True)
    kept = np.sort(shown[first])
    hashes, nodes = np.unique(measures.hashes[kept], return_inverse=True)
    looks = connect_close_hashes(hashes)[nodes]
    groups = [
        group
        for group in _split_groups(kept, looks)
        if (contents[group] != contents[group[0]]).any()
    ]
    # An exact copy in the other split is not a near-duplicate.
    across = [
        sum(bool((contents[group[:count]] != contents[index]).any()) for index in group[count:])
        for group, count in ((group, _count_train(measures, group)) for group in groups)
    ]
    return _summarize(measures, groups, across)


def connect_close_hashes(hashes: npt.NDArray[np.uint64]) -> Indices:
    """Return the number of each hash's group. Hashes that differ in at most three bits share one.

    If two hashes differ in three of 64 bits, they agree in at least one of four bands of 16 bits
    (Manku et al. 2007). For each band, only hashes that agree in it are therefore compared.

    Args:
        hashes: distinct hashes, (N,).
    """
    groups = np.arange(len(hashes))
    for band in range(_BANDS):
        found: list[Indices] = []
        for pairs in _iter_close_pairs(hashes, band):
            found.append(pairs[:, groups[pairs[0]] != groups[pairs[1]]])
            # If very many images look alike, the pairs would not fit in memory.
            if sum(new.shape[1] for new in found) > len(hashes):
                groups = _connect(groups, np.concatenate(found, axis=1))
                found = []
        if found:
            groups = _connect(groups, np.concatenate(found, axis=1))
    return groups


def _iter_close_pairs(hashes: npt.NDArray[np.uint64], band: int) -> Iterator[Indices]:
    """Yield the pairs (2, pairs) of close hashes that agree in a band, in several parts."""
    keys = (hashes >> np.uint64(band * _BAND_BITS)).astype(np.uint16)
    _, buckets, counts = np.unique(keys, return_inverse=True, return_counts=True)
    sizes = counts[buckets]
    # Hashes of one bucket are adjacent, and those of the largest buckets come first. The hashes in
    # buckets of at least some size are then a slice.
    order = np.lexsort((hashes, keys, -sizes))
    ordered, descending = hashes[order], -sizes[order]
    for offset in range(1, _MAX_COMPARISONS + 1):
        stop = int(np.searchsorted(descending, -offset))
        if stop <= offset:
            return
        distances = np.bitwise_count(ordered[: stop - offset] ^ ordered[offset:stop])
        close = np.flatnonzero(distances <= _MAX_DISTANCE)
        yield np.stack([order[close], order[close + offset]])


def _connect(groups: Indices, pairs: Indices) -> Indices:
    """Return the groups after those of each pair (2, pairs) are merged."""
    # SciPy takes half a second to import, and most datasets have no duplicates.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(groups)
    ones = np.ones(pairs.shape[1], np.bool_)
    graph = coo_array((ones, (groups[pairs[0]], groups[pairs[1]])), shape=(count, count))
    _, merged = connected_components(graph, directed=False)
    return np.asarray(merged, np.int64)[groups]


def _number_contents(measures: ImageMeasures) -> Indices:
    """Return a number for each image that is the same for images with the same pixels."""
    _, contents = np.unique(measures.digests, return_inverse=True)
    return contents


def _split_groups(indices: Indices, keys: Indices) -> list[Indices]:
    """Return groups of at least two indices with the same key, each in ascending order."""
    order = np.argsort(keys, kind="stable")
    counts = np.unique(keys[order], return_counts=True)[1]
    repeated = counts > 1
    stops = np.cumsum(counts)
    return [
        indices[order[stop - count : stop]]
        for stop, count in zip(stops[repeated], counts[repeated], strict=True)
    ]


def _count_train(measures: ImageMeasures, group: Indices) -> int:
    return int(np.searchsorted(group, measures.num_train))


def _summarize(
    measures: ImageMeasures, groups: list[Indices], across_splits: list[int]
) -> Duplicates:
    """Count the duplicates and sort the groups.

    `across_splits` has the number of evaluation images in each group that repeat a training image.
    """
    in_train = [_count_train(measures, group) for group in groups]
    conflicts = [_has_label_conflict(measures.labels[group]) for group in groups]
    order = sorted(
        range(len(groups)),
        key=lambda number: (-(across_splits[number] > 0), -conflicts[number], groups[number][0]),
    )
    return Duplicates(
        [groups[number] for number in order],
        train=sum(max(0, count - 1) for count in in_train),
        val=sum(
            max(0, len(group) - count - 1) for group, count in zip(groups, in_train, strict=True)
        ),
        across_splits=sum(across_splits),
        label_conflicts=sum(conflicts),
    )


def _has_label_conflict(labels: Indices) -> bool:
    return len(np.unique(labels[labels >= 0])) > 1
