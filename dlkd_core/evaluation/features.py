"""Frozen features of a data set: what the protocols look at."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from dlkd_core.data.packed import Packed
from dlkd_core.evaluation.accuracy import logits_of
from dlkd_core.outputs import Outputs


@dataclass(frozen=True)
class Features:
    """Of both splits (N, width), on the CPU, with their labels (N,) and the number of classes."""

    train: Tensor
    train_labels: Tensor
    val: Tensor
    val_labels: Tensor
    classes: int


def features_of(forward: Callable[[Tensor], Outputs], data: Packed, size: tuple[int, int]) -> Features:
    """The input of the final classifier for every image without augmentation, at height and width `size`.

    `forward` takes images (N, 3, H, W) in [0, 1] and is in evaluation mode; `data` is on its device.
    """

    def features(images: Tensor) -> Tensor:
        return forward(_at(images, size)).features

    train, val = (logits_of(features, split.images) for split in (data.train, data.val))  # rows are rows
    return Features(train, data.train.labels.cpu(), val, data.val.labels.cpu(), len(data.classes))


def _at(images: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(images.shape[2:]) == size:
        return images
    return F.interpolate(images, size, mode="bilinear", antialias=True).clamp(0, 1)
