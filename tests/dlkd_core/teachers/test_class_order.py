"""Tests for the order of a teacher's classes."""

import pytest
import torch
from torch import Tensor

from dlkd_core.data import ImageDataset
from dlkd_core.data.dataset import DatasetSplit
from dlkd_core.errors import ClassesDoNotFit
from dlkd_core.spec import Normalization
from dlkd_core.teachers.class_order import find_class_order, match_class_names
from dlkd_core.teachers.verification import Verification, verify

CLASSES = 12
ANY = Normalization(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def answer(labels: Tensor, order: list[int], accuracy: float, own_classes: int) -> Tensor:
    """Return logits (N, own classes) of a teacher that has class `order[k]` for class k."""
    generator = torch.Generator().manual_seed(0)
    answers = torch.tensor(order)[labels]
    wrong = torch.rand(len(labels), generator=generator) >= accuracy
    random = torch.randint(own_classes, (len(labels),), generator=generator)
    return torch.eye(own_classes)[torch.where(wrong, random, answers)]


def test_the_order_is_found_among_more_classes_and_measured_on_other_images() -> None:
    labels = torch.arange(600) % CLASSES
    order = [37, 2, 11, 5, 0, 19, 8, 3, 30, 1, 25, 14]
    found = find_class_order(answer(labels, order, 0.7, 40), labels, CLASSES)
    assert found is not None
    assert found.class_map == tuple(order)
    assert found.top1 == pytest.approx(0.7, abs=0.06)


def test_random_answers_are_hardly_explained_by_any_order() -> None:
    labels = torch.arange(120) % CLASSES
    found = find_class_order(answer(labels, list(range(CLASSES)), 0, CLASSES), labels, CLASSES)
    assert found is not None
    assert found.top1 < 0.2  # on the images that it was found on, it would be more


def test_a_teacher_with_fewer_classes_has_no_order() -> None:
    labels = torch.arange(20) % CLASSES
    assert find_class_order(torch.rand(20, 5), labels, CLASSES) is None


def verify_teacher(
    order: list[int], accuracy: float, class_map: tuple[int, ...] | None
) -> Verification:
    """Verify a teacher on 360 images whose first two channels hold their number."""
    numbers = torch.arange(360)
    labels = numbers % CLASSES
    images = torch.stack([numbers // 256, numbers % 256, numbers * 0], dim=1)
    split = DatasetSplit(images.to(torch.uint8)[:, :, None, None].expand(-1, -1, 4, 4), labels)
    data = ImageDataset(split, split, tuple(str(number) for number in range(CLASSES)))
    logits = answer(labels, order, accuracy, CLASSES)

    def predict(images: Tensor) -> Tensor:
        rounded = (images[:, :, 0, 0] * 255).round().long()
        return logits[rounded[:, 0] * 256 + rounded[:, 1]]

    return verify(lambda _: predict, data, ANY, class_map)


NUMBERS_AS_WORDS = sorted(range(CLASSES), key=str)  # 0, 1, 10, 11, 2, …


def test_an_order_that_is_better_than_chance_by_luck_is_refused() -> None:
    with pytest.raises(ClassesDoNotFit, match="if its classes are in another order") as refused:
        verify_teacher(NUMBERS_AS_WORDS, 0.9, None)
    assert f"Set class_map to {NUMBERS_AS_WORDS}" in refused.value.hint
    assert refused.value.pointer == "/teacher/class_map"


def test_a_given_class_map_is_used_with_a_warning() -> None:
    identity = tuple(range(CLASSES))
    (warning,) = verify_teacher(NUMBERS_AS_WORDS, 0.9, identity).warnings
    assert f"With class_map {NUMBERS_AS_WORDS}" in warning
    assert verify_teacher(NUMBERS_AS_WORDS, 0.9, tuple(NUMBERS_AS_WORDS)).warnings == ()


@pytest.mark.parametrize("accuracy", [0.3, 0.6, 1.0])
def test_a_correct_order_is_accepted_however_weak_the_teacher_is(accuracy: float) -> None:
    verification = verify_teacher(list(range(CLASSES)), accuracy, None)
    assert verification.warnings == ()
    assert verification.class_map is None


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (("dog", "cat"), (1, 0)),
        (("bird", "Dog", "CAT "), (2, 1)),
        (("dog", "bird"), None),
        (("dog", "cat", "Cat"), None),
        ((), None),
    ],
)
def test_classes_are_matched_by_their_names(
    own: tuple[str, ...], expected: tuple[int, ...] | None
) -> None:
    assert match_class_names(own, ("cat", "dog")) == expected
    assert match_class_names(("polar_bear", "fire truck"), ("fire-truck", "polar bear")) == (1, 0)
