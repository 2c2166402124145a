"""Tests for random image operations: those of torchvision, drawn per image."""

import torch
from torch import Tensor
from torchvision.transforms import v2

from dlkd_core.data.augmentation.auto_augment import apply_policy
from dlkd_core.data.augmentation.views import Augmentation, make_views
from dlkd_core.data.batches import seeded_generator
from dlkd_core.training_spec import AugmentationPolicy


def make_image(side: int = 12) -> Tensor:
    """Return a smooth image, (1, 3, side, side) uint8, that every operation changes."""
    ramp = torch.linspace(20, 200, side).expand(side, side)
    return torch.stack([ramp, ramp.T, (ramp.flip(1) + ramp.T) / 2])[None].to(torch.uint8)


def list_results(
    image: Tensor,
    transform: v2.TrivialAugmentWide | v2.RandAugment,
    bins: range,
) -> dict[bytes, str]:
    """Return every result that one torchvision operation can have, with the operation's name."""
    results = {}
    for name, (list_magnitudes, is_signed) in transform._AUGMENTATION_SPACE.items():
        magnitudes = list_magnitudes(31, *image.shape[2:])
        values = [0.0] if magnitudes is None else [float(magnitudes[index]) for index in bins]
        for value in values:
            for sign in (1, -1) if is_signed else (1,):
                result = transform._apply_image_or_video_transform(
                    image, name, sign * value, transform.interpolation, transform._fill
                )
                results.setdefault(result.numpy().tobytes(), name)
    return results


def test_trivial_augment_applies_one_operation_of_torchvision_to_each_image() -> None:
    image = make_image()
    possible = list_results(image, v2.TrivialAugmentWide(), range(31))
    drawn = [
        possible[result.numpy().tobytes()]
        for seed in range(40)
        for result in apply_policy(
            image.repeat(16, 1, 1, 1), AugmentationPolicy.TRIVIAL_AUGMENT, seeded_generator(seed)
        )
    ]
    frequencies = {name: drawn.count(name) / len(drawn) for name in drawn}
    assert len(frequencies) >= 12  # operations with small strength can equal the identity
    assert max(frequencies.values()) < 0.35
    assert min(frequencies.values()) > 0.01


def test_rand_augment_applies_two_operations_of_fixed_strength() -> None:
    image = make_image()
    transform = v2.RandAugment()
    once = list_results(image, transform, range(9, 10))
    twice = {
        result
        for first in once
        for result in list_results(
            torch.frombuffer(bytearray(first), dtype=torch.uint8).view_as(image),
            transform,
            range(9, 10),
        )
    }
    results = apply_policy(
        image.repeat(64, 1, 1, 1), AugmentationPolicy.RAND_AUGMENT, seeded_generator(0)
    )
    assert {result.numpy().tobytes() for result in results} <= twice
    assert len({result.numpy().tobytes() for result in results}) > 20


def test_operations_depend_only_on_the_generator() -> None:
    images = make_image().repeat(32, 1, 1, 1)
    policy = AugmentationPolicy.TRIVIAL_AUGMENT
    first, again = (apply_policy(images, policy, seeded_generator(5)) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, apply_policy(images, policy, seeded_generator(6)))


def test_every_kind_of_views_can_be_followed_by_random_operations() -> None:
    images = make_image().repeat(8, 1, 1, 1)
    for kind, count in (("single", 8), ("rotation4", 32), ("moco", 16), ("resized_crop", 8)):
        usual, changed = (
            make_views(images, Augmentation(kind, 1, policy=policy), seeded_generator(0))
            for policy in (AugmentationPolicy.NONE, AugmentationPolicy.RAND_AUGMENT)
        )
        assert changed.shape == usual.shape == (count, 3, 12, 12)
        assert 0 <= changed.min() < changed.max() <= 1
        assert not torch.allclose(changed, usual, atol=0.01)
