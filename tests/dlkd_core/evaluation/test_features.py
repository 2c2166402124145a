"""Tests for extracting the features of all images at the network's image size."""

import torch
from torch import Tensor
from torch.nn import functional

from dlkd_core.data.dataset import DatasetSplit, ImageDataset
from dlkd_core.evaluation.features import extract_features
from dlkd_core.network_outputs import Outputs

RANDOM = torch.Generator().manual_seed(0)


def network(images: Tensor) -> Outputs:
    """Return the flattened pixels as features."""
    return Outputs(images.new_zeros(len(images), 2), images.flatten(1), ())


def make_split(count: int, side: int) -> DatasetSplit:
    images = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=RANDOM)
    return DatasetSplit(images, torch.arange(count) % 2)


def test_features_are_in_the_order_of_the_images() -> None:
    # there are more images than fit in a batch
    data = ImageDataset(make_split(300, 4), make_split(5, 4), ("a", "b"))
    features = extract_features(network, data, (4, 4))
    assert torch.equal(features.train, data.train.images.flatten(1) / 255)
    assert torch.equal(features.val, data.val.images.flatten(1) / 255)
    assert torch.equal(features.train_labels, data.train.labels)
    assert torch.equal(features.val_labels, data.val.labels)
    assert features.classes == 2


def test_images_of_another_size_are_resized() -> None:
    data = ImageDataset(make_split(3, 8), make_split(2, 8), ("a", "b"))
    features = extract_features(network, data, (4, 6))
    assert features.train.shape == (3, 3 * 4 * 6)
    expected = functional.interpolate(
        data.val.images / 255, (4, 6), mode="bilinear", antialias=True
    ).flatten(1)
    torch.testing.assert_close(features.val, expected)
