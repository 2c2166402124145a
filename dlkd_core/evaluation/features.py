"""Extracts the features that a frozen network computes for a dataset.

The evaluation protocols use these features.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from dlkd_core.data.dataset import ImageDataset
from dlkd_core.evaluation.accuracy import predict
from dlkd_core.network_outputs import Outputs


@dataclass(frozen=True)
class DatasetFeatures:
    """Features (N, width) and labels (N,) for both splits, on the CPU, and the class count."""

    train: Tensor
    train_labels: Tensor
    val: Tensor
    val_labels: Tensor
    classes: int


def extract_features(
    forward: Callable[[Tensor], Outputs], data: ImageDataset, size: tuple[int, int]
) -> DatasetFeatures:
    """Compute the features (the classifier's input) for every image, without augmentation.

    Args:
        forward: Network in evaluation mode that maps images (N, 3, H, W) in [0, 1] to outputs.
        data: Images and labels, on the network's device.
        size: Height and width to which the images are resized.
    """

    def features(images: Tensor) -> Tensor:
        return forward(_resize(images, size)).features

    train, val = (predict(features, split.images) for split in (data.train, data.val))
    return DatasetFeatures(
        train, data.train.labels.cpu(), val, data.val.labels.cpu(), len(data.classes)
    )


def _resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(images.shape[2:]) == size:
        return images
    return F.interpolate(images, size, mode="bilinear", antialias=True).clamp(0, 1)
