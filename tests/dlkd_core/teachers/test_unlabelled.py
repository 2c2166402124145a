"""A teacher is observed on images without labels."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dlkd_core.data import Packed, Split, open_dataset
from dlkd_core.errors import ClassesDoNotFit, TeacherAtChance
from dlkd_core.spec import Normalization
from dlkd_core.teachers.load import load_teacher
from dlkd_core.teachers.proof import USUAL, prove
from dlkd_core.teachers.unlabelled import classes_of, observe
from tests.dlkd_core.teachers.test_proof import DATA, trained_under


def unlabelled(split: Split) -> Split:
    return replace(split, labels=torch.full_like(split.labels, -1))


BLANK = Packed(unlabelled(DATA.train), unlabelled(DATA.val), ())


def test_its_answers_are_those_that_it_is_proved_by_where_there_are_labels() -> None:
    given = USUAL["imagenet"]
    proof, known = (how(trained_under(given), data, given, None) for how, data in ((observe, BLANK), (prove, DATA)))
    assert torch.equal(proof.logits, known.logits)
    assert proof.scores is None
    assert proof.tried.keys() == {"given"}
    assert 0.9 < proof.tried["given"] <= 1


@pytest.mark.parametrize("name", ["resnet20-12fca82f", "resnet56-4bfd9763"])
def test_the_normalisation_of_a_published_network_is_found_without_labels(shared_data: Path, name: str) -> None:
    """Its author's: https://github.com/akamaster/pytorch_resnet_cifar10 trains under ImageNet's."""
    data = open_dataset(shared_data / "cifar10_subset_png.zip")
    source = load_teacher(shared_data / "teachers" / f"cifar10_{name}.th").source
    blank = Packed(data.train, unlabelled(data.val), ())
    proof = observe(lambda choice: source.tapped(choice, torch.device("cpu")).logits, blank, None, None)
    assert proof.normalization == USUAL["imagenet"]
    assert (proof.logits.argmax(dim=1) == data.val.labels).double().mean() > 0.9


def test_being_sure_of_one_answer_makes_no_normalisation_likely() -> None:
    knows = trained_under(USUAL["none"])

    def logits(choice: Normalization) -> Callable[[Tensor], Tensor]:
        certain = torch.tensor([[99.0, 0.0, 0.0, 0.0]])
        return knows(choice) if choice == USUAL["none"] else lambda images: certain.expand(len(images), -1)

    proof = observe(logits, BLANK, None, None)
    assert proof.normalization == USUAL["none"]
    assert max(proof.tried, key=lambda name: proof.tried[name]) == "imagenet"


def test_a_class_map_says_how_many_classes_there_are() -> None:
    proof = observe(trained_under(USUAL["none"]), BLANK, USUAL["none"], (3, 0))
    assert proof.logits.shape == (200, 2)
    assert classes_of(2) == ("class_0", "class_1")


def test_one_answer_for_all_images_and_no_numbers_are_refused() -> None:
    def constant(_choice: object) -> object:
        return lambda images: torch.tensor([[0.0, 1.0, 0.5]]).expand(len(images), -1)

    def broken(_choice: object) -> object:
        return lambda images: torch.full((len(images), 3), torch.nan)

    def without(_choice: object) -> object:
        return lambda images: torch.empty(len(images), 0)

    with pytest.raises(TeacherAtChance, match="class 1 for each of the 200"):
        observe(constant, BLANK, None, None)
    with pytest.raises(TeacherAtChance, match="no finite numbers"):
        observe(broken, BLANK, None, None)
    with pytest.raises(ClassesDoNotFit, match="how many classes"):
        observe(without, BLANK, None, None)
