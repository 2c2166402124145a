"""Teachers without a classifier prove themselves by their features."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from dlkd_core.data.packed import Packed, Split
from dlkd_core.errors import ClassesDoNotFit, TeacherAtChance
from dlkd_core.spec import Normalization
from dlkd_core.teachers.neighbours import prove_by_neighbours
from dlkd_core.teachers.proof import USUAL

OWN = Normalization(mean=(0.2, 0.2, 0.2), std=(0.9, 0.9, 0.9))


def split(count: int) -> Split:
    labels = torch.arange(count) % 2
    return Split((labels * 200 + 20)[:, None, None, None].expand(count, 3, 4, 4).to(torch.uint8).contiguous(), labels)


DATA = Packed(split(200), split(100), ("dark", "bright"))


def sees_under(*good: Normalization) -> Callable[[Normalization], Callable[[Tensor], Tensor]]:
    """A network that tells the classes apart under those normalisations alone; else its features are noise."""

    def features(normalization: Normalization) -> Callable[[Tensor], Tensor]:
        generator = torch.Generator().manual_seed(0)

        def forward(images: Tensor) -> Tensor:
            brightness = images.mean(dim=(1, 2, 3))
            clear = torch.stack([brightness, 1 - brightness], dim=1)
            return clear if normalization in good else torch.randn(len(images), 2, generator=generator)

        return forward

    return features


def test_the_normalization_is_found_by_neighbours_and_tried_ones_are_listed() -> None:
    proof = prove_by_neighbours(sees_under(USUAL["half"]), DATA, None)
    assert (proof.normalization, proof.knn_top1, proof.scores) == (USUAL["half"], 1.0, None)
    assert proof.logits.shape == (100, 0)
    assert proof.tried["half"] == 1.0
    assert proof.tried["imagenet"] < 0.7
    assert list(proof.tried) == [*USUAL, "data"]


def test_the_weights_own_normalization_is_tried_first() -> None:
    proof = prove_by_neighbours(sees_under(OWN, USUAL["imagenet"]), DATA, None, OWN)
    assert (proof.normalization, next(iter(proof.tried))) == (OWN, "weights")
    assert list(prove_by_neighbours(sees_under(OWN), DATA, OWN).tried) == ["given"]


def test_features_that_tell_nothing_end_the_job() -> None:
    with pytest.raises(TeacherAtChance, match=r"nearest neighbours .* of 100 images .* guessing among 2 classes gets 50\.0%"):
        prove_by_neighbours(sees_under(), DATA, None)


def test_without_labels_nobody_knows_the_classes() -> None:
    unlabelled = replace(DATA, val=replace(DATA.val, labels=torch.full((100,), -1)))
    with pytest.raises(ClassesDoNotFit, match="how many classes"):
        prove_by_neighbours(sees_under(OWN), unlabelled, OWN)


def test_half_of_val_stands_in_for_training_images_without_labels() -> None:
    half = replace(DATA, train=replace(DATA.train, labels=torch.full((200,), -1)))
    assert prove_by_neighbours(sees_under(OWN), half, OWN).knn_top1 == 1.0
