"""Measures the quality of features with k-NN, for networks without a trained classifier.

Val images are classified by their nearest training images.
"""

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor

from dlkd_core.data.dataset import DatasetSplit, ImageDataset
from dlkd_core.evaluation.accuracy import LogitsFn, predict
from dlkd_core.evaluation.knn import knn_votes
from dlkd_core.evaluation.model_measurements import LABEL_METRICS
from dlkd_core.network_outputs import Outputs

# Limits on the bank, which holds the labeled images that queries are compared with.
_MAX_BANK_IMAGES = 20_000
_MAX_BANK_BYTES = 2**30


def split_bank_and_queries(data: ImageDataset) -> tuple[DatasetSplit, DatasetSplit]:
    """Return the bank of labeled images and the query images to classify.

    These are the train and val splits, or two halves of val if the training images have no labels.
    """
    if data.train.is_labeled:
        return data.train, data.val
    order = shuffle_rows(data.val)
    return select_rows(data.val, order[::2]), select_rows(data.val, order[1::2])


def compute_knn_votes(
    features: LogitsFn, bank: DatasetSplit, queries: DatasetSplit, classes: int
) -> Tensor:
    """Return the neighbors' votes for each query, (N, classes) on the CPU.

    If the bank has too many images or takes too much memory, a fixed random sample is used instead.
    """
    max_images = min(_MAX_BANK_IMAGES, max(1, _MAX_BANK_BYTES // prod(bank.images.shape[1:])))
    if len(bank) > max_images:
        bank = select_rows(bank, shuffle_rows(bank)[:max_images])
    return knn_votes(
        predict(features, bank.images),
        bank.labels.cpu(),
        predict(features, queries.images),
        classes=classes,
    )


def measure_knn_top1(network: Callable[[Tensor], Outputs], data: ImageDataset) -> float | None:
    """Return the top-1 accuracy in [0, 1] of weighted k-NN on a network's features.

    Returns None if the val images have no labels.
    """
    if not data.val.is_labeled:
        return None
    bank, queries = split_bank_and_queries(data)
    votes = compute_knn_votes(
        lambda images: network(images).features, bank, queries, len(data.classes)
    )
    return compute_top1(votes, queries.labels)


def compute_top1(votes: Tensor, labels: Tensor) -> float:
    """Return the share of queries whose correct class has the most votes.

    `votes` is (N, classes).
    """
    return (votes.argmax(dim=1) == labels.cpu()).double().mean().item()


def knn_quality(knn_top1: float | None, images: int) -> dict[str, Any]:
    """Return the quality metrics of a network without a trained classifier.

    The keys are those of `measure_quality`. Every metric that depends on a classifier is None.
    """
    return {**dict.fromkeys(LABEL_METRICS), "images": images, "knn_top1": knn_top1}


def shuffle_rows(split: DatasetSplit) -> Tensor:
    """Return the row numbers of a split in a fixed random order."""
    return torch.randperm(len(split), generator=torch.Generator().manual_seed(0))


def select_rows(split: DatasetSplit, rows: Tensor) -> DatasetSplit:
    """Return a split with only the given rows."""
    rows = rows.to(split.labels.device)
    return DatasetSplit(split.images[rows], split.labels[rows])
