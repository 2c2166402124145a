"""Tests for the plain crop and the MoCo v2 crop."""

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as reference

from dlkd_core.data.augmentation import moco_crops
from dlkd_core.data.augmentation.views import Augmentation, make_views
from dlkd_core.data.batches import BatchLoader, seeded_generator
from dlkd_core.data.dataset import DatasetSplit

CROPS = Augmentation("moco", flip=False)


def random_images(count: int, height: int = 8, width: int = 8) -> Tensor:
    return torch.randint(
        0,
        256,
        (count, 3, height, width),
        dtype=torch.uint8,
        generator=torch.Generator().manual_seed(0),
    )


def gradient_images(count: int, side: int = 64) -> Tensor:
    """Return images that show where a crop comes from: red encodes the column, green the row."""
    line = torch.arange(side, dtype=torch.uint8).mul(3)
    image = torch.stack(
        [
            line.expand(side, side),
            line[:, None].expand(side, side),
            torch.zeros(side, side, dtype=torch.uint8),
        ]
    )
    return image.expand(count, -1, -1, -1)


def test_an_image_has_two_adjacent_views_of_its_own_size_in_the_unit_range() -> None:
    images = random_images(5, 8, 12)
    views = make_views(images, CROPS, seeded_generator(0))
    assert (views.shape, views.dtype) == ((10, 3, 8, 12), torch.float32)
    assert 0 <= views.min() < views.max() <= 1
    plain = make_views(
        torch.cat([images[:1] * 0, images[1:] * 0 + 200]), CROPS, seeded_generator(0)
    )[::2]
    assert torch.equal(plain[0], torch.zeros(3, 8, 12))  # the first view keeps all colors
    torch.testing.assert_close(plain[1:], torch.full((4, 3, 8, 12), 200 / 255))


def test_equal_seeds_give_bitwise_equal_views_and_different_seeds_do_not() -> None:
    images = random_images(8)
    augmentation = Augmentation("moco")
    assert torch.equal(
        make_views(images, augmentation, seeded_generator(1)),
        make_views(images, augmentation, seeded_generator(1)),
    )
    assert not torch.equal(
        make_views(images, augmentation, seeded_generator(1)),
        make_views(images, augmentation, seeded_generator(2)),
    )


def test_any_step_can_be_reproduced_from_its_number() -> None:
    loader = BatchLoader(
        DatasetSplit(random_images(20), torch.arange(20)), 8, Augmentation("moco"), seed=3
    )
    expected = list(loader.iterate(0, 6))[4:]
    for (images, _), (other_images, _) in zip(expected, loader.iterate(4, 6), strict=True):
        assert torch.equal(images, other_images)


@pytest.mark.parametrize(("area_range", "smallest"), [((0.08, 1.0), 0.08), ((0.2, 1.0), 0.2)])
def test_crops_are_inside_the_image_with_the_published_areas_and_ratios(
    area_range: tuple[float, float], smallest: float
) -> None:
    views = (
        moco_crops.resized_crop(gradient_images(2000).float(), area_range, seeded_generator(4)) / 3
    )
    left, right = views[:, 0, 32, 0], views[:, 0, 32, -1]
    top, bottom = views[:, 1, 0, 32], views[:, 1, -1, 32]
    assert min(left.min(), top.min()) >= -1e-3
    assert max(right.max(), bottom.max()) <= 63 + 1e-3
    wide, high = (right - left) / 63, (bottom - top) / 63
    area, ratio = wide * high, wide / high
    assert area.min() == pytest.approx(smallest, rel=0.1)
    assert area.max() > 0.9
    assert area.mean() == pytest.approx((smallest + 1) / 2, abs=0.03)
    assert ratio.min() == pytest.approx(3 / 4, rel=0.05)
    assert ratio.max() == pytest.approx(4 / 3, rel=0.05)
    assert (left + right).mean() == pytest.approx(63, abs=2)  # crops are centered on average


@pytest.mark.parametrize("shift", [-0.1, 0.03, 0.1, 0.5])
def test_the_hue_shift_matches_torchvision(shift: float) -> None:
    images = random_images(4).float() / 255
    images[0] = 0.5  # gray has no hue
    torch.testing.assert_close(
        moco_crops._shift_hue(images, torch.full((4, 1, 1, 1), shift)),
        reference.adjust_hue(images, shift),
        atol=1e-4,
        rtol=0,
    )


def test_the_color_jitter_matches_torchvision_in_the_drawn_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = random_images(1).float() / 255
    factors = {"brightness": 1.3, "contrast": 0.7, "saturation": 1.4, "hue": 0.08}
    drawn = iter(factors.values())
    monkeypatch.setattr(moco_crops, "_uniform", lambda *_: torch.full((1, 1, 1, 1), next(drawn)))
    expected = images
    for step in torch.randperm(4, generator=seeded_generator(6)).tolist():
        name = list(factors)[step]
        expected = getattr(reference, f"adjust_{name}")(expected, factors[name])
    torch.testing.assert_close(
        moco_crops._color_jitter(images, seeded_generator(6)), expected, atol=2e-3, rtol=0
    )


def test_the_blur_of_a_large_image_matches_torchvision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = random_images(2, 224, 224).float() / 255
    monkeypatch.setattr(
        moco_crops, "_uniform", lambda *_: torch.tensor([0.5, 2.0]).view(2, 1, 1, 1)
    )
    views = moco_crops._gaussian_blur(images, seeded_generator(0))
    for image, sigma, blurred in zip(images, (0.5, 2.0), views, strict=True):
        expected = reference.gaussian_blur(image, [25, 25], [sigma, sigma])
        torch.testing.assert_close(
            blurred[:, 12:-12, 12:-12], expected[:, 12:-12, 12:-12], atol=1e-3, rtol=0
        )
    torch.testing.assert_close(
        moco_crops._gaussian_blur(torch.ones_like(images), seeded_generator(0)),
        torch.ones_like(images),
    )


def test_only_the_second_view_is_jittered_and_grayed_as_often_as_published() -> None:
    color = torch.tensor([200, 120, 40], dtype=torch.uint8).view(1, 3, 1, 1).expand(3000, 3, 4, 4)
    views = make_views(color, CROPS, seeded_generator(7)).view(3000, 2, 3, 4, 4)
    torch.testing.assert_close(views[:, 0], color / 255)
    is_gray = views[:, 1].std(dim=1).amax(dim=(1, 2)) < 1e-3
    is_unchanged = (views[:, 1] - color / 255).abs().amax(dim=(1, 2, 3)) < 1e-3
    assert is_gray.float().mean() == pytest.approx(0.2, abs=0.03)
    # neither jittered nor grayed
    assert is_unchanged.float().mean() == pytest.approx(0.2 * 0.8, abs=0.03)


def test_each_view_is_mirrored_independently_and_only_if_flip_is_set() -> None:
    flips = [
        make_views(
            gradient_images(400, 16), Augmentation("moco", flip=flip), seeded_generator(8)
        ).view(400, 2, 3, 16, 16)
        for flip in (False, True)
    ]
    straight, mirrored = (views[:, :, 0, 8, -1] - views[:, :, 0, 8, 0] for views in flips)
    assert (straight[:, 0] > 0).all()
    first_flipped = mirrored[:, 0] < 0
    assert first_flipped.float().mean() == pytest.approx(0.5, abs=0.1)
    second_flipped = (flips[1][:, 1] == flips[0][:, 1].flip(-1)).flatten(1).all(dim=1)
    assert second_flipped.float().mean() == pytest.approx(0.5, abs=0.1)
    assert 0.3 < (second_flipped == first_flipped).float().mean() < 0.7
