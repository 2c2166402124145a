"""Tests for verifying teachers that have no classifier, using k-NN on their features."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from dlkd_core.data.dataset import DatasetSplit, ImageDataset
from dlkd_core.errors import ClassesDoNotFit, TeacherAtChance
from dlkd_core.spec import Normalization
from dlkd_core.teachers.knn_verification import verify_by_neighbors
from dlkd_core.teachers.normalization import COMMON_NORMALIZATIONS

OWN = Normalization(mean=(0.2, 0.2, 0.2), std=(0.9, 0.9, 0.9))


def split(count: int) -> DatasetSplit:
    labels = torch.arange(count) % 2
    return DatasetSplit(
        (labels * 200 + 20)[:, None, None, None]
        .expand(count, 3, 4, 4)
        .to(torch.uint8)
        .contiguous(),
        labels,
    )


DATA = ImageDataset(split(200), split(100), ("dark", "bright"))


def features_under(*own: Normalization) -> Callable[[Normalization], Callable[[Tensor], Tensor]]:
    """Return a factory that makes a feature function for a normalization.

    `own` contains the normalizations with which the teacher was trained. Under each of these, its
    features separate the classes. Under any other normalization, its features are random.
    """

    def features(normalization: Normalization) -> Callable[[Tensor], Tensor]:
        generator = torch.Generator().manual_seed(0)

        def forward(images: Tensor) -> Tensor:
            brightness = images.mean(dim=(1, 2, 3))
            separable = torch.stack([brightness, 1 - brightness], dim=1)
            return (
                separable
                if normalization in own
                else torch.randn(len(images), 2, generator=generator)
            )

        return forward

    return features


def test_the_normalization_is_found_by_neighbors_and_all_candidates_are_listed() -> None:
    result = verify_by_neighbors(features_under(COMMON_NORMALIZATIONS["half"]), DATA, None)
    assert (result.normalization, result.knn_top1, result.scores) == (
        COMMON_NORMALIZATIONS["half"],
        1.0,
        None,
    )
    assert result.logits.shape == (100, 0)
    assert result.normalization_scores["half"] == 1.0
    assert result.normalization_scores["imagenet"] < 0.7
    assert list(result.normalization_scores) == [*COMMON_NORMALIZATIONS, "data"]


def test_the_weights_own_normalization_is_tried_first() -> None:
    result = verify_by_neighbors(
        features_under(OWN, COMMON_NORMALIZATIONS["imagenet"]), DATA, None, OWN
    )
    assert (result.normalization, next(iter(result.normalization_scores))) == (OWN, "weights")
    assert list(verify_by_neighbors(features_under(OWN), DATA, OWN).normalization_scores) == [
        "given"
    ]


def test_uninformative_features_are_at_chance() -> None:
    with pytest.raises(
        TeacherAtChance,
        match=r"neighbors .* 100 images correctly\. Random guessing among 2 classes gets 50\.0%",
    ):
        verify_by_neighbors(features_under(), DATA, None)


def test_without_labels_the_number_of_classes_is_unknown() -> None:
    unlabeled = replace(DATA, val=replace(DATA.val, labels=torch.full((100,), -1)))
    with pytest.raises(ClassesDoNotFit, match="how many classes"):
        verify_by_neighbors(features_under(OWN), unlabeled, OWN)


def test_half_of_val_replaces_training_images_without_labels() -> None:
    half = replace(DATA, train=replace(DATA.train, labels=torch.full((200,), -1)))
    assert verify_by_neighbors(features_under(OWN), half, OWN).knn_top1 == 1.0
