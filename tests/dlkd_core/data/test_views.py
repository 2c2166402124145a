"""Views and batches: the paper's order, drawn again from the same seed."""

import pytest
import torch

from dlkd_core.data.batches import Batches, generator_of
from dlkd_core.data.packed import Split
from dlkd_core.data.views import Augmentation, views
from dlkd_core.errors import SpecError


def numbered(count: int, size: int = 8) -> torch.Tensor:
    return torch.randint(1, 256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_without_augmentation_a_view_is_the_image_in_the_unit_range() -> None:
    images = numbered(4)
    made = views(images, Augmentation("single", padding=0, flip=False), generator_of(0))
    assert torch.equal(made, images.float() / 255)


def test_the_four_views_of_an_image_are_adjacent_quarter_turns_the_unrotated_first() -> None:
    images = numbered(3)
    made = views(images, Augmentation("rotation4", padding=0, flip=False), generator_of(0)).view(3, 4, 3, 8, 8)
    for turns in range(4):
        assert torch.equal(made[:, turns], torch.rot90(images.float() / 255, turns, (2, 3)))


def test_an_image_is_mirrored_before_it_is_rotated_so_that_its_views_agree() -> None:
    images = numbered(32)
    made = views(images, Augmentation("rotation4", padding=0, flip=True), generator_of(1)).view(32, 4, 3, 8, 8)
    mirrored = (made[:, 0] != images.float() / 255).flatten(1).any(dim=1)
    assert 0 < mirrored.sum() < 32
    assert torch.equal(made[:, 2], torch.rot90(made[:, 0], 2, (2, 3)))


def test_every_view_is_cropped_on_its_own_from_the_zero_padded_image() -> None:
    image = numbered(1)
    padded = torch.nn.functional.pad(image.float() / 255, (2,) * 4)
    crops = [padded[0, :, y : y + 8, x : x + 8] for y in range(5) for x in range(5)]
    made = views(image.repeat(200, 1, 1, 1), Augmentation("single", padding=2, flip=False), generator_of(2))
    found = {next(n for n, crop in enumerate(crops) if torch.equal(crop, view)) for view in made}
    assert len(found) == 25


def test_rotating_images_that_are_not_square_says_what_to_do() -> None:
    with pytest.raises(SpecError, match="need square images") as caught:
        views(torch.zeros(2, 3, 8, 10, dtype=torch.uint8), Augmentation("rotation4"), generator_of(0))
    assert "single" in caught.value.hint


def batches(count: int, batch_size: int) -> Batches:
    split = Split(numbered(count), torch.arange(count))
    return Batches(split, batch_size, Augmentation("single", 1, flip=True), seed=3)


def test_an_epoch_meets_every_image_once_and_each_epoch_in_another_order() -> None:
    work = batches(20, 8)
    assert work.per_epoch == 3
    labels = [targets.labels for _, targets in work.from_step(0, 6)]
    first, second = torch.cat(labels[:3]), torch.cat(labels[3:])
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(20))
    assert not torch.equal(first, second)


def test_a_last_batch_of_one_image_is_left_out() -> None:
    assert batches(17, 8).per_epoch == 2
    assert batches(18, 8).per_epoch == 3
    assert batches(5, 64).per_epoch == 1


@pytest.mark.parametrize("step", [1, 3, 4])
def test_any_step_can_be_made_again_from_its_number(step: int) -> None:
    work = batches(20, 8)
    whole = list(work.from_step(0, 6))[step:]
    for (images, targets), (again, targets_again) in zip(whole, work.from_step(step, 6), strict=True):
        assert torch.equal(images, again)
        assert torch.equal(targets.labels, targets_again.labels)
        assert torch.equal(targets.rows, targets_again.rows)
