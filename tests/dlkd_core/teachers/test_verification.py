"""Tests for verifying a teacher. The brightness of the test images determines their class."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from dlkd_core.data.dataset import DatasetSplit, ImageDataset
from dlkd_core.errors import ClassesDoNotFit, TeacherAtChance
from dlkd_core.spec import Normalization
from dlkd_core.teachers.normalization import COMMON_NORMALIZATIONS, channel_statistics
from dlkd_core.teachers.verification import (
    LogitsFactory,
    compare_with_pixels,
    guess_probability,
    is_at_chance,
    map_logits,
    verify,
)

CLASSES = ("black", "dark", "light", "white")
LEVELS = torch.tensor([30.0, 90.0, 150.0, 210.0])


def make_split(count: int = 200, seed: int = 0) -> DatasetSplit:
    """Return a split of noisy gray images, with the same number of images in each class."""
    labels = torch.arange(count) % len(LEVELS)
    noise = torch.randn(count, 3, 4, 4, generator=torch.Generator().manual_seed(seed)) * 8
    return DatasetSplit((LEVELS[labels].view(-1, 1, 1, 1) + noise).to(torch.uint8), labels)


DATA = ImageDataset(make_split(seed=1), make_split(), CLASSES)


def normalize(images: Tensor, choice: Normalization) -> Tensor:
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (choice.mean, choice.std))
    return (images - mean) / std


def make_trained_logits(own: Normalization, order: tuple[int, ...] = (0, 1, 2, 3)) -> LogitsFactory:
    """Return a teacher that recognizes the classes if the images are normalized with `own`.

    Output i of the teacher stands for the dataset's class `order[i]`.
    """
    centers = normalize((LEVELS / 255).view(-1, 1, 1, 1).expand(-1, 3, 4, 4), own).mean(
        dim=(1, 2, 3)
    )[list(order)]

    def under(choice: Normalization) -> Callable[[Tensor], Tensor]:
        return lambda images: (
            -50 * (normalize(images, choice).mean(dim=(1, 2, 3))[:, None] - centers) ** 2
        )

    return under


@pytest.mark.parametrize("name", COMMON_NORMALIZATIONS)
def test_the_normalization_that_a_teacher_was_trained_with_is_found(name: str) -> None:
    result = verify(make_trained_logits(COMMON_NORMALIZATIONS[name]), DATA, None, None)
    assert result.normalization == COMMON_NORMALIZATIONS[name]
    assert (result.scores.top1, result.scores.images) == (1.0, 200)
    assert result.normalization_scores[name] == 1.0
    assert set(result.normalization_scores) == {*COMMON_NORMALIZATIONS, "data"}


def test_the_data_sets_own_statistics_are_a_candidate() -> None:
    own = channel_statistics(DATA.train)
    assert verify(make_trained_logits(own), DATA, None, None).normalization == own


def test_statistics_are_those_of_the_training_images() -> None:
    images = DATA.train.images.double() / 255
    own = channel_statistics(DATA.train)
    assert own.mean == pytest.approx(images.mean(dim=(0, 2, 3)).tolist(), abs=1e-6)
    assert own.std == pytest.approx(images.transpose(0, 1).flatten(1).std(dim=1).tolist(), abs=1e-6)
    assert (
        min(
            channel_statistics(
                DatasetSplit(torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.zeros(2))
            ).std
        )
        > 0
    )


def test_a_requested_normalization_is_the_only_candidate() -> None:
    result = verify(
        make_trained_logits(COMMON_NORMALIZATIONS["half"]),
        DATA,
        COMMON_NORMALIZATIONS["half"],
        None,
    )
    assert result.normalization == COMMON_NORMALIZATIONS["half"]
    assert result.normalization_scores == {"given": 1.0}


def make_fixed_logits(answers: dict[str, Tensor]) -> LogitsFactory:
    """Return a teacher whose logits depend only on the image's class and the normalization.

    `answers` maps the names of common normalizations to the logits of each class. If a common
    normalization is missing from `answers`, its logits are zero. Any other normalization gives the
    same logits as "imagenet".
    """

    def under(choice: Normalization) -> Callable[[Tensor], Tensor]:
        name = next(
            (name for name, common in COMMON_NORMALIZATIONS.items() if common == choice), "imagenet"
        )
        table = answers.get(name, torch.zeros(4, 4))
        return lambda images: table[
            ((images.mean(dim=(1, 2, 3)) * 255 - LEVELS[0]) / 60).round().long()
        ]

    return under


def test_of_two_with_equal_accuracy_the_likelier_is_chosen() -> None:
    sure, unsure = 10 * torch.eye(4), 0.1 * torch.eye(4)
    assert (
        verify(
            make_fixed_logits({"imagenet": unsure, "cifar100": sure}), DATA, None, None
        ).normalization
        == COMMON_NORMALIZATIONS["cifar100"]
    )


def test_a_likelier_normalization_wins_over_a_more_accurate_one() -> None:
    often = 0.01 * torch.eye(4)
    likely = 20 * torch.eye(4)
    likely[3] = torch.tensor([0, 0, 1.0, 0.9])  # the last class is narrowly missed
    result = verify(make_fixed_logits({"imagenet": often, "cifar10": likely}), DATA, None, None)
    assert result.normalization == COMMON_NORMALIZATIONS["cifar10"]
    assert result.normalization_scores["cifar10"] < result.normalization_scores["imagenet"] == 1.0


def test_between_equals_the_most_common_is_chosen() -> None:
    result = verify(
        make_fixed_logits(dict.fromkeys(COMMON_NORMALIZATIONS, 10 * torch.eye(4))), DATA, None, None
    )
    assert result.normalization == COMMON_NORMALIZATIONS["imagenet"]


def test_the_choice_is_made_on_a_sample_and_the_scores_on_every_image() -> None:
    batch_sizes: list[int] = []
    teacher = make_trained_logits(COMMON_NORMALIZATIONS["imagenet"])

    def counted(choice: Normalization) -> Callable[[Tensor], Tensor]:
        forward = teacher(choice)
        return lambda images: (batch_sizes.append(len(images)), forward(images))[1]

    result = verify(counted, ImageDataset(DATA.train, make_split(800), CLASSES), None, None)
    assert sum(batch_sizes) == 512 * len(result.normalization_scores) + 800
    assert result.scores.images == 800


def test_a_guessing_teacher_is_refused_with_the_normalizations_tried() -> None:
    with pytest.raises(TeacherAtChance) as caught:
        verify(make_fixed_logits({}), DATA, None, None)
    assert (
        "classifies 25.0% of 200 images correctly. Random guessing among 4 classes gets 25.0%"
        in caught.value.message
    )
    assert (
        "imagenet 25.0%, cifar10 25.0%, cifar100 25.0%, half 25.0%, none 25.0%, bytes 25.0%,"
        " data 25.0%" in caught.value.message
    )
    assert caught.value.hint == TeacherAtChance.default_hint


def test_the_probability_of_guessing_is_exact() -> None:
    # 3 or 4 of 4 images with probability 1/4 each: 4 * (1/4)^3 * 3/4 + (1/4)^4
    assert guess_probability(0.75, 4, 4) == pytest.approx(13 / 256)
    assert guess_probability(0.0, 10, 719) == pytest.approx(1)
    assert guess_probability(0.25, 2, 1000) == pytest.approx(1)


def test_the_bar_is_higher_for_the_best_of_several_normalizations() -> None:
    def bar(tried: int) -> int:
        """Return the smallest number of correct images of 719 that passes."""
        return next(hits for hits in range(720) if not is_at_chance(hits / 719, 10, 719, tried))

    # 3.0 and 3.5 standard deviations above 71.9, and a little more because the tail is skewed
    assert (bar(1), bar(6)) == (98, 103)
    # A CIFAR teacher on digits that used to pass with 13.49 % against a bar of 13.36 %
    assert is_at_chance(97 / 719, 10, 719, 6)
    assert not is_at_chance(1.0, 10, 5, 6)
    assert is_at_chance(1.0, 1, 719, 1)


def test_a_teacher_below_half_of_raw_pixels_is_warned_of() -> None:
    # The brightness is the class, so raw pixels tell the classes apart.
    answers = dict.fromkeys(COMMON_NORMALIZATIONS, 10 * torch.eye(4)[[0, 1, 1, 1]])
    half = compare_with_pixels(verify(make_fixed_logits(answers), DATA, None, None), DATA)
    assert half.pixel_knn_top1 is not None
    assert (half.scores.top1, half.warnings) == (0.5, ())
    poor = replace(half, scores=replace(half.scores, top1=0.4))
    (warning,) = compare_with_pixels(poor, DATA).warnings
    assert "classifies only 40.0%" in warning
    assert f"gets {half.pixel_knn_top1:.1%}" in warning
    unlabeled = replace(half, scores=None, pixel_knn_top1=None)
    assert compare_with_pixels(unlabeled, DATA) == unlabeled


def test_for_classes_in_another_order_the_hint_suggests_a_class_map() -> None:
    # The teacher's classes 0, 1, 2 and 3 are the classes 2, 0, 3 and 1 of the dataset.
    shuffled = make_trained_logits(COMMON_NORMALIZATIONS["imagenet"], (2, 0, 3, 1))
    with pytest.raises(TeacherAtChance) as caught:
        verify(shuffled, DATA, None, None)
    assert "class_map [1, 3, 0, 2] would give 100.0%" in caught.value.hint
    assert verify(shuffled, DATA, None, (1, 3, 0, 2)).scores.top1 == 1.0


def test_a_class_map_selects_among_more_classes() -> None:
    logits = torch.arange(12.0).view(2, 6)
    assert map_logits(logits, CLASSES, (5, 0, 2, 2)).tolist() == [[5, 0, 2, 2], [11, 6, 8, 8]]
    assert map_logits(logits[:, :4], CLASSES, None) is not None
    with pytest.raises(
        ClassesDoNotFit, match="The teacher has 6 classes, but the dataset has 4"
    ) as caught:
        map_logits(logits, CLASSES, None)
    assert caught.value.pointer == "/teacher/class_map"


@pytest.mark.parametrize("class_map", [(0, 1, 2), (0, 1, 2, 6)])
def test_a_class_map_of_wrong_length_or_range_is_refused(
    class_map: tuple[int, ...],
) -> None:
    with pytest.raises(
        ClassesDoNotFit, match=rf"must hold 4 indices below 6\. It holds {len(class_map)}"
    ):
        map_logits(torch.zeros(2, 6), CLASSES, class_map)


def test_a_constant_answer_under_one_normalization_suggests_no_class_map() -> None:
    trained = make_trained_logits(COMMON_NORMALIZATIONS["none"], order=(1, 2, 3, 0))

    def logits(choice: Normalization) -> Callable[[Tensor], Tensor]:
        constant = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
        return (
            trained(choice)
            if choice == COMMON_NORMALIZATIONS["none"]
            else lambda images: constant.expand(len(images), -1)
        )

    with pytest.raises(TeacherAtChance) as caught:
        verify(logits, DATA, None, None)
    assert "class_map [3, 0, 1, 2] would give 100.0%" in caught.value.hint
