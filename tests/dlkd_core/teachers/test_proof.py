"""A teacher proves itself on images whose class is their brightness."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from dlkd_core.data.packed import Packed, Split
from dlkd_core.errors import ClassesDoNotFit, TeacherAtChance
from dlkd_core.spec import Normalization
from dlkd_core.teachers.proof import USUAL, Logits, mapped, prove, statistics

CLASSES = ("black", "dark", "light", "white")
LEVELS = torch.tensor([30.0, 90.0, 150.0, 210.0])


def brightness(count: int = 200, seed: int = 0) -> Split:
    """Grey images with a little noise, as many of each class."""
    labels = torch.arange(count) % len(LEVELS)
    noise = torch.randn(count, 3, 4, 4, generator=torch.Generator().manual_seed(seed)) * 8
    return Split((LEVELS[labels].view(-1, 1, 1, 1) + noise).to(torch.uint8), labels)


DATA = Packed(brightness(seed=1), brightness(), CLASSES)


def normalized(images: Tensor, choice: Normalization) -> Tensor:
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (choice.mean, choice.std))
    return (images - mean) / std


def trained_under(own: Normalization, order: tuple[int, ...] = (0, 1, 2, 3)) -> Logits:
    """A teacher that knows the brightness of each class as it is after its own normalisation; its classes in `order`."""
    centres = normalized((LEVELS / 255).view(-1, 1, 1, 1).expand(-1, 3, 4, 4), own).mean(dim=(1, 2, 3))[list(order)]

    def under(choice: Normalization) -> Callable[[Tensor], Tensor]:
        return lambda images: -50 * (normalized(images, choice).mean(dim=(1, 2, 3))[:, None] - centres) ** 2

    return under


@pytest.mark.parametrize("name", USUAL)
def test_the_normalisation_that_a_teacher_was_trained_under_is_found(name: str) -> None:
    proof = prove(trained_under(USUAL[name]), DATA, None, None)
    assert proof.normalization == USUAL[name]
    assert (proof.scores.top1, proof.scores.images) == (1.0, 200)
    assert proof.tried[name] == 1.0
    assert set(proof.tried) == {*USUAL, "data"}


def test_the_data_sets_own_statistics_are_tried_too() -> None:
    own = statistics(DATA.train)
    assert prove(trained_under(own), DATA, None, None).normalization == own


def test_statistics_are_those_of_the_training_images() -> None:
    images = DATA.train.images.double() / 255
    own = statistics(DATA.train)
    assert own.mean == pytest.approx(images.mean(dim=(0, 2, 3)).tolist(), abs=1e-6)
    assert own.std == pytest.approx(images.transpose(0, 1).flatten(1).std(dim=1).tolist(), abs=1e-6)
    assert min(statistics(Split(torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.zeros(2))).std) > 0


def test_one_that_is_given_is_taken_and_no_other_is_tried() -> None:
    proof = prove(trained_under(USUAL["half"]), DATA, USUAL["half"], None)
    assert proof.normalization == USUAL["half"]
    assert proof.tried == {"given": 1.0}


def fixed(answers: dict[str, Tensor]) -> Logits:
    """A teacher that gives those logits for each class under each of the usual normalisations; the first for any other."""

    def under(choice: Normalization) -> Callable[[Tensor], Tensor]:
        name = next((name for name, usual in USUAL.items() if usual == choice), "imagenet")
        table = answers.get(name, torch.zeros(4, 4))
        return lambda images: table[((images.mean(dim=(1, 2, 3)) * 255 - LEVELS[0]) / 60).round().long()]

    return under


def test_of_two_that_hit_as_often_the_likelier_is_taken() -> None:
    sure, unsure = 10 * torch.eye(4), 0.1 * torch.eye(4)
    assert prove(fixed({"imagenet": unsure, "cifar100": sure}), DATA, None, None).normalization == USUAL["cifar100"]


def test_a_likelier_one_goes_before_one_that_hits_more_often() -> None:
    often = 0.01 * torch.eye(4)
    likely = 20 * torch.eye(4)
    likely[3] = torch.tensor([0, 0, 1.0, 0.9])  # one class of four is missed by a hair
    proof = prove(fixed({"imagenet": often, "cifar10": likely}), DATA, None, None)
    assert proof.normalization == USUAL["cifar10"]
    assert proof.tried["cifar10"] < proof.tried["imagenet"] == 1.0


def test_between_equals_the_most_common_is_taken() -> None:
    proof = prove(fixed(dict.fromkeys(USUAL, 10 * torch.eye(4))), DATA, None, None)
    assert proof.normalization == USUAL["imagenet"]


def test_the_choice_is_made_on_a_sample_and_the_proof_on_every_image() -> None:
    seen: list[int] = []
    teacher = trained_under(USUAL["imagenet"])

    def counted(choice: Normalization) -> Callable[[Tensor], Tensor]:
        forward = teacher(choice)
        return lambda images: (seen.append(len(images)), forward(images))[1]

    proof = prove(counted, Packed(DATA.train, brightness(800), CLASSES), None, None)
    assert sum(seen) == 512 * len(proof.tried) + 800
    assert proof.scores.images == 800


def test_a_guessing_teacher_is_refused_with_what_was_tried() -> None:
    with pytest.raises(TeacherAtChance) as caught:
        prove(fixed({}), DATA, None, None)
    assert "gets 25.0% of 200 images right, where guessing among 4 classes gets 25.0%" in caught.value.message
    assert "imagenet 25.0%, cifar10 25.0%, cifar100 25.0%, half 25.0%, none 25.0%, data 25.0%" in caught.value.message
    assert caught.value.hint == TeacherAtChance.default_hint


def test_a_teacher_with_its_classes_in_another_order_is_told_the_map() -> None:
    shuffled = trained_under(USUAL["imagenet"], (2, 0, 3, 1))  # its class 0 is our class 2, ...
    with pytest.raises(TeacherAtChance) as caught:
        prove(shuffled, DATA, None, None)
    assert "class_map [1, 3, 0, 2] would give 100.0%" in caught.value.hint
    assert prove(shuffled, DATA, None, (1, 3, 0, 2)).scores.top1 == 1.0


def test_a_teacher_of_more_classes_is_used_through_its_map() -> None:
    logits = torch.arange(12.0).view(2, 6)
    assert mapped(logits, CLASSES, (5, 0, 2, 2)).tolist() == [[5, 0, 2, 2], [11, 6, 8, 8]]
    assert mapped(logits[:, :4], CLASSES, None) is not None
    with pytest.raises(ClassesDoNotFit, match="The teacher has 6 classes and the data set 4") as caught:
        mapped(logits, CLASSES, None)
    assert caught.value.pointer == "/teacher/class_map"


@pytest.mark.parametrize("class_map", [(0, 1, 2), (0, 1, 2, 6)])
def test_a_map_of_another_length_or_beyond_the_teachers_classes_does_not_fit(class_map: tuple[int, ...]) -> None:
    with pytest.raises(ClassesDoNotFit, match=f"must hold 4 indices below 6; it holds {len(class_map)}"):
        mapped(torch.zeros(2, 6), CLASSES, class_map)


def test_a_normalisation_under_which_a_teacher_gives_one_answer_explains_no_other_order() -> None:
    true = trained_under(USUAL["none"], order=(1, 2, 3, 0))

    def logits(choice: Normalization) -> Callable[[Tensor], Tensor]:
        constant = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
        return true(choice) if choice == USUAL["none"] else lambda images: constant.expand(len(images), -1)

    with pytest.raises(TeacherAtChance) as caught:
        prove(logits, DATA, None, None)
    assert "class_map [3, 0, 1, 2] would give 100.0%" in caught.value.hint
