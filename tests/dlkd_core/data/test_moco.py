"""The two crops of MoCo v2: what each may do to an image, and that a step can be made again."""

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as reference

from dlkd_core.data import moco
from dlkd_core.data.batches import Batches, generator_of
from dlkd_core.data.packed import Split
from dlkd_core.data.views import Augmentation, views

CROPS = Augmentation("moco", flip=False)


def noise(count: int, height: int = 8, width: int = 8) -> Tensor:
    return torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def ramp(count: int, side: int = 64) -> Tensor:
    """Red grows to the right and green downwards: a crop tells where it comes from."""
    line = torch.arange(side, dtype=torch.uint8).mul(3)
    image = torch.stack([line.expand(side, side), line[:, None].expand(side, side), torch.zeros(side, side, dtype=torch.uint8)])
    return image.expand(count, -1, -1, -1)


def test_an_image_has_two_adjacent_views_of_its_own_size_in_the_unit_range() -> None:
    images = noise(5, 8, 12)
    made = views(images, CROPS, generator_of(0))
    assert (made.shape, made.dtype) == ((10, 3, 8, 12), torch.float32)
    assert 0 <= made.min() < made.max() <= 1
    plain = views(torch.cat([images[:1] * 0, images[1:] * 0 + 200]), CROPS, generator_of(0))[::2]
    assert torch.equal(plain[0], torch.zeros(3, 8, 12))  # the first view changes no colour
    torch.testing.assert_close(plain[1:], torch.full((4, 3, 8, 12), 200 / 255))


def test_the_same_generator_makes_the_same_views_bit_for_bit_and_another_other_ones() -> None:
    images = noise(8)
    augmentation = Augmentation("moco")
    assert torch.equal(views(images, augmentation, generator_of(1)), views(images, augmentation, generator_of(1)))
    assert not torch.equal(views(images, augmentation, generator_of(1)), views(images, augmentation, generator_of(2)))


def test_any_step_can_be_made_again_from_its_number() -> None:
    work = Batches(Split(noise(20), torch.arange(20)), 8, Augmentation("moco"), seed=3)
    whole = list(work.from_step(0, 6))[4:]
    for (images, _), (again, _) in zip(whole, work.from_step(4, 6), strict=True):
        assert torch.equal(images, again)


@pytest.mark.parametrize(("share", "smallest"), [((0.08, 1.0), 0.08), ((0.2, 1.0), 0.2)])
def test_a_crop_is_a_rectangle_inside_the_image_of_the_published_areas_and_ratios(
    share: tuple[float, float], smallest: float
) -> None:
    made = moco._resized_crop(ramp(2000).float(), share, generator_of(4)) / 3
    left, right = made[:, 0, 32, 0], made[:, 0, 32, -1]
    top, bottom = made[:, 1, 0, 32], made[:, 1, -1, 32]
    assert min(left.min(), top.min()) >= -1e-3
    assert max(right.max(), bottom.max()) <= 63 + 1e-3
    wide, high = (right - left) / 63, (bottom - top) / 63
    area, ratio = wide * high, wide / high
    assert area.min() == pytest.approx(smallest, rel=0.1)
    assert area.max() > 0.9
    assert area.mean() == pytest.approx((smallest + 1) / 2, abs=0.03)
    assert ratio.min() == pytest.approx(3 / 4, rel=0.05)
    assert ratio.max() == pytest.approx(4 / 3, rel=0.05)
    assert (left + right).mean() == pytest.approx(63, abs=2)  # no side is preferred


@pytest.mark.parametrize("turn", [-0.1, 0.03, 0.1, 0.5])
def test_hue_is_turned_as_torchvision_turns_it(turn: float) -> None:
    images = noise(4).float() / 255
    images[0] = 0.5  # grey has none
    torch.testing.assert_close(
        moco._turned(images, torch.full((4, 1, 1, 1), turn)), reference.adjust_hue(images, turn), atol=1e-4, rtol=0
    )


def test_the_jitter_is_torchvisions_in_the_order_that_was_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    images = noise(1).float() / 255
    bright, contrast, saturation, turn = 1.3, 0.7, 1.4, 0.08
    drawn = iter([bright, contrast, saturation, turn])
    monkeypatch.setattr(moco, "_drawn", lambda *_: torch.full((1, 1, 1, 1), next(drawn)))
    expected = images
    for step in torch.randperm(4, generator=generator_of(6)).tolist():
        name = ("brightness", "contrast", "saturation", "hue")[step]
        expected = getattr(reference, f"adjust_{name}")(expected, (bright, contrast, saturation, turn)[step])
    torch.testing.assert_close(moco._jittered(images, generator_of(6)), expected, atol=2e-3, rtol=0)


def test_the_blur_of_a_large_image_is_a_gaussian_of_the_drawn_width(monkeypatch: pytest.MonkeyPatch) -> None:
    images = noise(2, 224, 224).float() / 255
    monkeypatch.setattr(moco, "_drawn", lambda *_: torch.tensor([0.5, 2.0]).view(2, 1, 1, 1))
    made = moco._blurred(images, generator_of(0))
    for image, sigma, found in zip(images, (0.5, 2.0), made, strict=True):
        expected = reference.gaussian_blur(image, [25, 25], [sigma, sigma])
        torch.testing.assert_close(found[:, 12:-12, 12:-12], expected[:, 12:-12, 12:-12], atol=1e-3, rtol=0)
    torch.testing.assert_close(moco._blurred(torch.ones_like(images), generator_of(0)), torch.ones_like(images))


def test_only_the_second_view_is_jittered_greyed_and_blurred_and_as_often_as_published() -> None:
    colour = torch.tensor([200, 120, 40], dtype=torch.uint8).view(1, 3, 1, 1).expand(3000, 3, 4, 4)
    made = views(colour, CROPS, generator_of(7)).view(3000, 2, 3, 4, 4)
    torch.testing.assert_close(made[:, 0], colour / 255)
    grey = made[:, 1].std(dim=1).amax(dim=(1, 2)) < 1e-3
    kept = (made[:, 1] - colour / 255).abs().amax(dim=(1, 2, 3)) < 1e-3
    assert grey.float().mean() == pytest.approx(0.2, abs=0.03)
    assert kept.float().mean() == pytest.approx(0.2 * 0.8, abs=0.03)  # neither jittered nor greyed


def test_views_are_mirrored_each_on_its_own_and_only_where_asked() -> None:
    made = [
        views(ramp(400, 16), Augmentation("moco", flip=flip), generator_of(8)).view(400, 2, 3, 16, 16) for flip in (False, True)
    ]
    straight, mirrored = (one[:, :, 0, 8, -1] - one[:, :, 0, 8, 0] for one in made)
    assert (straight[:, 0] > 0).all()
    turned = mirrored[:, 0] < 0
    assert turned.float().mean() == pytest.approx(0.5, abs=0.1)
    other = (made[1][:, 1] == made[0][:, 1].flip(-1)).flatten(1).all(dim=1)
    assert other.float().mean() == pytest.approx(0.5, abs=0.1)
    assert 0.3 < (other == turned).float().mean() < 0.7
