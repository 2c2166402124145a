"""Tests for verifying a teacher on images without labels."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dlkd_core.data import DatasetSplit, ImageDataset, open_dataset
from dlkd_core.errors import ClassesDoNotFit, TeacherAtChance
from dlkd_core.spec import Normalization
from dlkd_core.teachers.loading import load_teacher_file
from dlkd_core.teachers.normalization import COMMON_NORMALIZATIONS
from dlkd_core.teachers.unlabeled_verification import default_class_names, verify_unlabeled
from dlkd_core.teachers.verification import verify
from tests.dlkd_core.teachers.test_verification import DATA, make_trained_logits


def drop_labels(split: DatasetSplit) -> DatasetSplit:
    return replace(split, labels=torch.full_like(split.labels, -1))


UNLABELED = ImageDataset(drop_labels(DATA.train), drop_labels(DATA.val), ())


def test_the_logits_are_the_same_as_with_labels() -> None:
    requested = COMMON_NORMALIZATIONS["imagenet"]
    result = verify_unlabeled(make_trained_logits(requested), UNLABELED, requested, None)
    labeled_result = verify(make_trained_logits(requested), DATA, requested, None)
    assert torch.equal(result.logits, labeled_result.logits)
    assert result.scores is None
    assert result.normalization_scores.keys() == {"given"}
    assert 0.9 < result.normalization_scores["given"] <= 1


@pytest.mark.parametrize("name", ["resnet20-12fca82f", "resnet56-4bfd9763"])
def test_the_normalization_of_a_published_network_is_found_without_labels(
    shared_data: Path, name: str
) -> None:
    """The published networks were trained with ImageNet's normalization.

    Source: https://github.com/akamaster/pytorch_resnet_cifar10
    """
    data = open_dataset(shared_data / "cifar10_subset_png.zip")
    source = load_teacher_file(shared_data / "teachers" / f"cifar10_{name}.th").source
    unlabeled = ImageDataset(data.train, drop_labels(data.val), ())
    result = verify_unlabeled(
        lambda choice: source.build_extractor(choice, torch.device("cpu")).logits,
        unlabeled,
        None,
        None,
    )
    assert result.normalization == COMMON_NORMALIZATIONS["imagenet"]
    assert (result.logits.argmax(dim=1) == data.val.labels).double().mean() > 0.9


def test_a_constant_confident_answer_does_not_win() -> None:
    trained = make_trained_logits(COMMON_NORMALIZATIONS["none"])

    def logits(choice: Normalization) -> Callable[[Tensor], Tensor]:
        constant = torch.tensor([[99.0, 0.0, 0.0, 0.0]])
        return (
            trained(choice)
            if choice == COMMON_NORMALIZATIONS["none"]
            else lambda images: constant.expand(len(images), -1)
        )

    result = verify_unlabeled(logits, UNLABELED, None, None)
    assert result.normalization == COMMON_NORMALIZATIONS["none"]
    assert (
        max(result.normalization_scores, key=lambda name: result.normalization_scores[name])
        == "imagenet"
    )


def test_a_class_map_determines_the_number_of_classes() -> None:
    result = verify_unlabeled(
        make_trained_logits(COMMON_NORMALIZATIONS["none"]),
        UNLABELED,
        COMMON_NORMALIZATIONS["none"],
        (3, 0),
    )
    assert result.logits.shape == (200, 2)
    assert default_class_names(2) == ("class_0", "class_1")


def test_constant_or_non_finite_answers_and_missing_classes_are_refused() -> None:
    def constant_logits(_choice: object) -> object:
        return lambda images: torch.tensor([[0.0, 1.0, 0.5]]).expand(len(images), -1)

    def nan_logits(_choice: object) -> object:
        return lambda images: torch.full((len(images), 3), torch.nan)

    def no_logits(_choice: object) -> object:
        return lambda images: torch.empty(len(images), 0)

    with pytest.raises(TeacherAtChance, match="class 1 for each of the 200"):
        verify_unlabeled(constant_logits, UNLABELED, None, None)
    with pytest.raises(TeacherAtChance, match="not finite numbers"):
        verify_unlabeled(nan_logits, UNLABELED, None, None)
    with pytest.raises(ClassesDoNotFit, match="how many classes"):
        verify_unlabeled(no_logits, UNLABELED, None, None)
