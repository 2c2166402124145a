"""Tests for measuring the quality of features with k-NN."""

from dataclasses import replace

import torch
from torch import Tensor

from dlkd_core.data.dataset import DatasetSplit, ImageDataset
from dlkd_core.evaluation.knn_quality import knn_quality, measure_knn_top1, split_bank_and_queries
from dlkd_core.network_outputs import Outputs


def make_split(count: int) -> DatasetSplit:
    """Return black images of class 0 and white images of class 1."""
    labels = torch.arange(count) % 2
    return DatasetSplit(
        (labels * 255)[:, None, None, None].expand(count, 3, 4, 4).to(torch.uint8).contiguous(),
        labels,
    )


DATASET = ImageDataset(make_split(20), make_split(10), ("dark", "bright"))
NO_LABELS = torch.full((20,), -1)


def color_features(images: Tensor) -> Outputs:
    """Return features that encode the brightness of each image."""
    brightness = images.mean(dim=(1, 2, 3))
    return Outputs(
        torch.zeros(len(images), 0), torch.stack([brightness, 1 - brightness], dim=1), ()
    )


def test_separating_features_reach_1_and_constant_ones_are_at_chance() -> None:
    assert measure_knn_top1(color_features, DATASET) == 1.0
    constant = measure_knn_top1(
        lambda images: color_features(images)._replace(features=torch.ones(len(images), 2)), DATASET
    )
    assert constant == 0.5


def test_half_of_val_replaces_training_images_without_labels() -> None:
    data = replace(DATASET, train=replace(DATASET.train, labels=NO_LABELS))
    bank, queries = split_bank_and_queries(data)
    assert (len(bank), len(queries)) == (5, 5)
    assert measure_knn_top1(color_features, data) == 1.0
    assert split_bank_and_queries(DATASET) == (DATASET.train, DATASET.val)


def test_without_labels_the_result_is_none() -> None:
    data = replace(DATASET, val=replace(DATASET.val, labels=NO_LABELS[:10]))
    assert measure_knn_top1(color_features, data) is None


def test_metrics_that_need_a_classifier_are_none() -> None:
    assert knn_quality(0.5, 10) == {
        **dict.fromkeys(("top1", "top5", "nll", "ece", "per_class", "confusion")),
        "images": 10,
        "knn_top1": 0.5,
    }
