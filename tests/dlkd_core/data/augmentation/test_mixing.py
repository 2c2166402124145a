"""Tests for mixup and CutMix."""

import pytest
import torch
from torch import Tensor

from dlkd_core.data.augmentation.mixing import mix_images
from dlkd_core.data.augmentation.views import Augmentation
from dlkd_core.data.batches import BatchLoader, seeded_generator
from dlkd_core.data.dataset import DatasetSplit

BATCH, VIEWS, SIDE = 8, 2, 10


def numbered_views() -> Tensor:
    """Return views whose pixels all have the number of their image, (16, 3, 10, 10)."""
    numbers = torch.arange(BATCH, dtype=torch.float32).repeat_interleave(VIEWS)
    return numbers.view(-1, 1, 1, 1).expand(-1, 3, SIDE, SIDE).clone()


@pytest.mark.parametrize("seed", range(10))
def test_mixup_blends_all_views_of_an_image_with_the_same_partner(seed: int) -> None:
    mixed, (partners, share) = mix_images(
        numbered_views(), BATCH, 1.0, None, seeded_generator(seed)
    )
    expected = share * torch.arange(BATCH) + (1 - share) * partners
    assert torch.allclose(
        mixed, expected.repeat_interleave(VIEWS).view(-1, 1, 1, 1).expand_as(mixed)
    )
    assert sorted(partners.tolist()) == list(range(BATCH))


@pytest.mark.parametrize("seed", range(20))
def test_cutmix_replaces_the_same_rectangle_of_all_images(seed: int) -> None:
    mixed, (partners, share) = mix_images(
        numbered_views(), BATCH, None, 1.0, seeded_generator(seed)
    )
    for image, partner in enumerate(partners.tolist()):
        if partner == image:
            continue
        for view in mixed[image * VIEWS : (image + 1) * VIEWS]:
            replaced = view[0] == partner
            assert torch.equal(replaced, view[0] != image)
            rows, columns = (replaced.any(dim).sum().item() for dim in (1, 0))
            assert replaced.sum() == rows * columns  # a rectangle
            assert 1 - replaced.float().mean().item() == pytest.approx(share)


def test_the_proportion_follows_the_beta_distribution() -> None:
    def shares(alpha: float) -> Tensor:
        return torch.tensor(
            [
                mix_images(numbered_views(), BATCH, alpha, None, seeded_generator(seed))[1].share
                for seed in range(400)
            ]
        )

    for alpha in (0.2, 1.0, 8.0):
        variance = 1 / (4 * (2 * alpha + 1))
        assert shares(alpha).mean().item() == pytest.approx(0.5, abs=0.06)
        assert shares(alpha).var().item() == pytest.approx(variance, rel=0.25)


def test_with_both_options_each_is_used_for_about_half_of_the_batches() -> None:
    batches = [
        mix_images(numbered_views(), BATCH, 1.0, 1.0, seeded_generator(seed))[0]
        for seed in range(100)
    ]
    is_cut = [torch.equal(views, views.round()) for views in batches]
    assert 30 < sum(is_cut) < 70


def test_batches_hold_the_labels_and_shares_of_mixed_images() -> None:
    images = torch.arange(20, dtype=torch.uint8).mul(10).view(-1, 1, 1, 1).expand(-1, 3, 8, 8)
    split = DatasetSplit(images.clone(), torch.arange(20))
    augmentation = Augmentation("single", padding=0, mixup=1.0)
    for views, targets in BatchLoader(split, 8, augmentation, seed=1).iterate(0, 3):
        assert targets.other_labels is not None
        assert targets.shares is not None
        expected = targets.shares * targets.labels + (1 - targets.shares) * targets.other_labels
        assert torch.allclose(views[:, 0, 0, 0] * 255 / 10, expected, atol=1e-4)
