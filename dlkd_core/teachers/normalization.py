"""Detection of the input normalization with which a teacher was trained."""

from collections.abc import Mapping
from math import inf, sqrt

import torch
from torch import Tensor

from dlkd_core.catalog.architectures.architecture import RGB_CHANNELS
from dlkd_core.data.dataset import DatasetSplit, ImageDataset
from dlkd_core.data.host_images import iter_chunks
from dlkd_core.evaluation.knn_quality import select_rows, shuffle_rows
from dlkd_core.spec import Normalization

_SAMPLE_IMAGES = 512
_CLEARLY_WORSE_AT = 2.0  # standard errors
_BYTE_VALUES = 256

# Names that reports use for normalizations that are not in `COMMON_NORMALIZATIONS`
REQUESTED = "given"  # set in the spec
PUBLISHED = "weights"  # stated by the publisher of pretrained weights
DATA = "data"  # statistics of the training images

# Normalizations of common training recipes, for RGB and for grayscale images
_BYTE_SCALE = 1 / 255  # gives values from 0 to 255, as many TensorFlow networks take them
COMMON_NORMALIZATIONS: dict[str, Normalization] = {
    "imagenet": Normalization(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    "cifar10": Normalization(mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616)),
    "cifar100": Normalization(mean=(0.5071, 0.4867, 0.4408), std=(0.2675, 0.2565, 0.2761)),
    "half": Normalization(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
    "none": Normalization(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
    "bytes": Normalization(mean=(0.0, 0.0, 0.0), std=(_BYTE_SCALE,) * 3),
}
_GRAY_NORMALIZATIONS: dict[str, Normalization] = {
    "mnist": Normalization(mean=(0.1307,), std=(0.3081,)),
    "fashion_mnist": Normalization(mean=(0.2860,), std=(0.3530,)),
}


def identity_normalization(channels: int) -> Normalization:
    """Return the normalization that leaves images in [0, 1] as they are."""
    return Normalization(mean=(0.0,) * channels, std=(1.0,) * channels)


def common_normalizations(channels: int) -> dict[str, Normalization]:
    """Return the normalizations of common training recipes for images with these channels."""
    if channels == RGB_CHANNELS:
        return COMMON_NORMALIZATIONS
    repeated = {
        name: Normalization(
            mean=COMMON_NORMALIZATIONS[name].mean[:1] * channels,
            std=COMMON_NORMALIZATIONS[name].std[:1] * channels,
        )
        for name in ("half", "none", "bytes")
    }
    return {**_GRAY_NORMALIZATIONS, **repeated} if channels == 1 else repeated


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
        **common_normalizations(data.channels),
        DATA: channel_statistics(data.train),
    }


def choose_best(losses: dict[str, Tensor]) -> str:
    """Return the name of the first candidate that is not clearly worse than the best one.

    `losses` holds, for each candidate, the losses on the same images. The first candidate is
    preferred so that chance does not decide between equally good ones.
    """
    return keep_plausible(losses, _CLEARLY_WORSE_AT)[0]


def keep_plausible(losses: Mapping[str, Tensor], standard_errors: float) -> list[str]:
    """Return the names whose mean loss is at most so many standard errors worse than the best.

    The best one is always among them, even if no loss is finite.
    """
    best = min(losses.values(), key=lambda loss: loss.mean().nan_to_num(inf).item())
    return [
        name
        for name, loss in losses.items()
        if loss is best or _excess(loss, best) <= standard_errors
    ]


def _excess(losses: Tensor, best: Tensor) -> float:
    """Return by how many standard errors the mean of `losses` is larger than that of `best`."""
    difference = losses - best
    mean = difference.mean().item()
    standard_error = difference.std().item() / sqrt(len(difference))
    return mean / standard_error if standard_error > 0 else (inf if mean > 0 else 0.0)


def channel_statistics(split: DatasetSplit) -> Normalization:
    """Return the mean and standard deviation per channel of a split's images in [0, 1].

    They are computed from how often each of the 256 possible pixel values occurs, so they are exact
    for any split size and do not depend on how the images are divided into chunks.
    """
    counts = torch.zeros(split.images.shape[1], _BYTE_VALUES, dtype=torch.float64)
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
