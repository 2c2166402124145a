"""Features of a data set: of every image, at the size of the network."""

import torch
from torch import Tensor
from torch.nn import functional

from dlkd_core.data.packed import Packed, Split
from dlkd_core.evaluation.features import features_of
from dlkd_core.outputs import Outputs

RANDOM = torch.Generator().manual_seed(0)


def network(images: Tensor) -> Outputs:
    """Its features are the pixels."""
    return Outputs(images.new_zeros(len(images), 2), images.flatten(1), ())


def split(count: int, side: int) -> Split:
    images = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=RANDOM)
    return Split(images, torch.arange(count) % 2)


def test_they_are_what_the_network_shows_of_the_plain_images_in_order() -> None:
    data = Packed(split(300, 4), split(5, 4), ("a", "b"))  # more than go through at once
    seen = features_of(network, data, (4, 4))
    assert torch.equal(seen.train, data.train.images.flatten(1) / 255)
    assert torch.equal(seen.val, data.val.images.flatten(1) / 255)
    assert torch.equal(seen.train_labels, data.train.labels)
    assert torch.equal(seen.val_labels, data.val.labels)
    assert seen.classes == 2


def test_images_of_another_size_are_scaled_to_that_of_the_network() -> None:
    data = Packed(split(3, 8), split(2, 8), ("a", "b"))
    seen = features_of(network, data, (4, 6))
    assert seen.train.shape == (3, 3 * 4 * 6)
    expected = functional.interpolate(data.val.images / 255, (4, 6), mode="bilinear", antialias=True).flatten(1)
    torch.testing.assert_close(seen.val, expected)
