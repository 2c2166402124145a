"""k-NN classification of raw pixels, which needs no training: a floor for every teacher."""

import torch
from torch import Tensor
from torch.nn import functional as F

from dlkd_core.data.dataset import ImageDataset
from dlkd_core.evaluation.accuracy import predict
from dlkd_core.evaluation.knn_quality import (
    compute_top1,
    select_rows,
    shuffle_rows,
    split_bank_and_queries,
)

_MAX_BANK_IMAGES = 4_000
_MAX_SIDE = 8  # larger images are averaged to this size, in pixels
_NEIGHBORS = 5
_QUERY_CHUNK = 1024  # images that are compared with the whole bank at a time
_MIN_DISTANCE = 1e-6  # keeps the vote of an equal image finite


def measure_pixel_knn_top1(data: ImageDataset) -> float:
    """Return the top-1 accuracy of k-NN on downsampled pixels, for labeled evaluation images.

    The evaluation images are classified by a fixed random sample of the training images, or by half
    of the evaluation images if the training images have no labels. Neighbors are weighted by the
    inverse of their Euclidean distance.
    """
    bank, queries = split_bank_and_queries(data)
    bank = select_rows(bank, shuffle_rows(bank)[:_MAX_BANK_IMAGES])
    bank_pixels, query_pixels = (predict(_downsample, split.images) for split in (bank, queries))
    bank_labels = bank.labels.cpu()
    votes = [
        _vote(torch.cdist(chunk, bank_pixels), bank_labels, len(data.classes))
        for chunk in torch.split(query_pixels, _QUERY_CHUNK)
    ]
    return compute_top1(torch.cat(votes), queries.labels)


def _downsample(images: Tensor) -> Tensor:
    """Average images (N, 3, H, W) to at most 8 x 8 pixels and flatten them."""
    height, width = (min(side, _MAX_SIDE) for side in images.shape[2:])
    return torch.flatten(F.adaptive_avg_pool2d(images, (height, width)), start_dim=1)


def _vote(distances: Tensor, bank_labels: Tensor, classes: int) -> Tensor:
    """Return the neighbors' votes (N, classes), from the distances (N, bank images)."""
    nearest = distances.topk(min(_NEIGHBORS, distances.shape[1]), dim=1, largest=False)
    weights = 1 / nearest.values.clamp_min(_MIN_DISTANCE)
    votes = weights.new_zeros(len(distances), classes)
    return votes.scatter_add_(1, bank_labels[nearest.indices], weights)
