"""Detection of the input normalization with which a teacher was trained."""

from math import sqrt

import torch
from torch import Tensor

from dlkd_core.data.dataset import DatasetSplit, ImageDataset
from dlkd_core.data.host_images import iter_chunks
from dlkd_core.evaluation.knn_quality import select_rows, shuffle_rows
from dlkd_core.spec import Normalization

_SAMPLE_IMAGES = 512
_BYTE_VALUES = 256

# Names that reports use for normalizations that are not in `COMMON_NORMALIZATIONS`
REQUESTED = "given"  # set in the spec
PUBLISHED = "weights"  # stated by the publisher of pretrained weights
DATA = "data"  # statistics of the training images

# Normalizations of common training recipes
COMMON_NORMALIZATIONS: dict[str, Normalization] = {
    "imagenet": Normalization(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    "cifar10": Normalization(mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616)),
    "cifar100": Normalization(mean=(0.5071, 0.4867, 0.4408), std=(0.2675, 0.2565, 0.2761)),
    "half": Normalization(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
    "none": Normalization(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
}


def candidate_normalizations(
    requested: Normalization | None, data: ImageDataset, pretrained: Normalization | None = None
) -> dict[str, Normalization]:
    """Return the normalizations to try, by name.

    If a normalization is requested, only that one is returned. Otherwise, the candidates are the
    normalization of the pretrained weights, the common ones, and the mean and standard deviation
    of the training images.
    """
    if requested:
        return {REQUESTED: requested}
    return {
        **({PUBLISHED: pretrained} if pretrained else {}),
        **COMMON_NORMALIZATIONS,
        DATA: channel_statistics(data.train),
    }


def choose_best(losses: dict[str, Tensor]) -> str:
    """Return the name of the first candidate that is not clearly worse than the best one.

    `losses` holds, for each candidate, the losses on the same images. The first candidate is
    preferred so that chance does not decide between equally good ones.
    """
    best = min(losses.values(), key=lambda loss: loss.mean().item())
    return next(name for name, loss in losses.items() if not _is_clearly_worse(loss, best))


def _is_clearly_worse(losses: Tensor, best: Tensor) -> bool:
    """Return whether the mean of `losses - best` exceeds twice its standard error."""
    difference = losses - best
    return bool(difference.mean() > 2 * difference.std() / sqrt(len(difference)))


def channel_statistics(split: DatasetSplit) -> Normalization:
    """Return the mean and standard deviation per channel of a split's images in [0, 1].

    They are computed from how often each of the 256 possible pixel values occurs, so they are exact
    for any split size and do not depend on how the images are divided into chunks.
    """
    counts = torch.zeros(3, _BYTE_VALUES, dtype=torch.float64)
    for images in iter_chunks(split.images):
        for channel, pixels in enumerate(images.unbind(dim=1)):
            counts[channel] += torch.bincount(pixels.flatten(), minlength=_BYTE_VALUES).cpu()
    values, total = torch.arange(_BYTE_VALUES, dtype=torch.float64) / 255, counts.sum(dim=1)
    mean = counts @ values / total
    variance = (counts * (values - mean[:, None]).square()).sum(dim=1) / (total - 1)
    return Normalization(
        mean=tuple(mean.tolist()), std=tuple(variance.sqrt().clamp_min(1e-3).tolist())
    )


def sample_split(split: DatasetSplit) -> DatasetSplit:
    """Return a fixed random sample of the split's images."""
    return select_rows(split, shuffle_rows(split)[:_SAMPLE_IMAGES])
