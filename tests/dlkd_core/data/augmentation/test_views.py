"""Tests for views and batches: their order, and reproducibility from the seed."""

import pytest
import torch

from dlkd_core.data.augmentation.views import Augmentation, make_views
from dlkd_core.data.batches import BatchLoader, seeded_generator
from dlkd_core.data.dataset import DatasetSplit
from dlkd_core.errors import SpecError


def random_images(count: int, size: int = 8) -> torch.Tensor:
    return torch.randint(
        1,
        256,
        (count, 3, size, size),
        dtype=torch.uint8,
        generator=torch.Generator().manual_seed(0),
    )


def test_without_augmentation_a_view_is_the_image_in_the_unit_range() -> None:
    images = random_images(4)
    views = make_views(images, Augmentation("single", padding=0, flip=False), seeded_generator(0))
    assert torch.equal(views, images.float() / 255)


def test_the_four_views_of_an_image_are_adjacent_and_start_with_the_unrotated_view() -> None:
    images = random_images(3)
    views = make_views(
        images, Augmentation("rotation4", padding=0, flip=False), seeded_generator(0)
    ).view(3, 4, 3, 8, 8)
    for turns in range(4):
        assert torch.equal(views[:, turns], torch.rot90(images.float() / 255, turns, (2, 3)))


def test_all_views_of_an_image_are_mirrored_together() -> None:
    images = random_images(32)
    views = make_views(
        images, Augmentation("rotation4", padding=0, flip=True), seeded_generator(1)
    ).view(32, 4, 3, 8, 8)
    mirrored = (views[:, 0] != images.float() / 255).flatten(1).any(dim=1)
    assert 0 < mirrored.sum() < 32
    assert torch.equal(views[:, 2], torch.rot90(views[:, 0], 2, (2, 3)))


def test_every_view_is_cropped_independently_from_the_zero_padded_image() -> None:
    image = random_images(1)
    padded = torch.nn.functional.pad(image.float() / 255, (2,) * 4)
    crops = [padded[0, :, y : y + 8, x : x + 8] for y in range(5) for x in range(5)]
    views = make_views(
        image.repeat(200, 1, 1, 1),
        Augmentation("single", padding=2, flip=False),
        seeded_generator(2),
    )
    positions = {
        next(n for n, crop in enumerate(crops) if torch.equal(crop, view)) for view in views
    }
    assert len(positions) == 25


def test_a_resized_crop_is_a_part_of_the_image_in_full_size() -> None:
    ramp = torch.arange(8, dtype=torch.uint8).mul(30).expand(3, 8, 8)  # brighter from left to right
    views = make_views(
        ramp.repeat(100, 1, 1, 1), Augmentation("resized_crop", flip=False), seeded_generator(0)
    )
    assert views.shape == (100, 3, 8, 8)
    contrast = (views[..., -1] - views[..., 0]).mean(dim=(1, 2)) * 255
    assert ((contrast > 0) & (contrast < 210.01)).all()
    assert contrast.min() < 100 < contrast.max()


def test_rotating_images_that_are_not_square_is_an_error_with_a_hint() -> None:
    with pytest.raises(SpecError, match="need square images") as caught:
        make_views(
            torch.zeros(2, 3, 8, 10, dtype=torch.uint8),
            Augmentation("rotation4"),
            seeded_generator(0),
        )
    assert "single" in caught.value.hint


def make_loader(count: int, batch_size: int) -> BatchLoader:
    split = DatasetSplit(random_images(count), torch.arange(count))
    return BatchLoader(split, batch_size, Augmentation("single", 1, flip=True), seed=3)


def test_an_epoch_has_every_image_once_and_an_order_of_its_own() -> None:
    loader = make_loader(20, 8)
    assert loader.steps_per_epoch == 3
    labels = [targets.labels for _, targets in loader.iterate(0, 6)]
    first, second = torch.cat(labels[:3]), torch.cat(labels[3:])
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(20))
    assert not torch.equal(first, second)


def test_a_last_batch_of_one_image_is_dropped() -> None:
    assert make_loader(17, 8).steps_per_epoch == 2
    assert make_loader(18, 8).steps_per_epoch == 3
    assert make_loader(5, 64).steps_per_epoch == 1


@pytest.mark.parametrize("step", [1, 3, 4])
def test_any_step_can_be_reproduced_from_its_number(step: int) -> None:
    loader = make_loader(20, 8)
    expected = list(loader.iterate(0, 6))[step:]
    for (images, targets), (other_images, other_targets) in zip(
        expected, loader.iterate(step, 6), strict=True
    ):
        assert torch.equal(images, other_images)
        assert torch.equal(targets.labels, other_targets.labels)
        assert torch.equal(targets.indices, other_targets.indices)
