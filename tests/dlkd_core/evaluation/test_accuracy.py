"""Tests that accuracy and likelihood equal values computed by hand."""

import math

import pytest
import torch
from torch import Tensor

from dlkd_core.data.dataset import DatasetSplit
from dlkd_core.evaluation.accuracy import predict, score_logits, score_network

LOGITS = torch.tensor(
    [
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0],  # classes by rank: 6 5 4 3 2 1 0
        [6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0],
        [0.0, 0.0, 9.0, 0.0, 0.0, 0.0, 0.0],
        [1.0, 2.0, 3.0, 2.0, 1.0, 0.0, 0.0],
    ]
)


def test_accuracy_counts_the_hits() -> None:
    # The true classes have the ranks 1, 5, 1, and 6 or 7 (a tie).
    scores = score_logits(LOGITS, torch.tensor([6, 4, 2, 6]))
    assert (scores.top1, scores.top5, scores.images) == (2 / 4, 3 / 4, 4)


def test_the_likelihood_is_the_mean_log_of_the_true_classes_softmax() -> None:
    labels = [6, 4, 2, 6]
    by_hand = [
        -math.log(math.exp(row[label]) / sum(math.exp(value) for value in row))
        for row, label in zip(LOGITS.tolist(), labels, strict=True)
    ]
    assert score_logits(LOGITS, torch.tensor(labels)).nll == pytest.approx(sum(by_hand) / 4)
    assert score_logits(torch.zeros(3, 7), torch.tensor([0, 3, 6])).nll == pytest.approx(
        math.log(7)
    )


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_top5_is_1_with_five_classes_or_fewer(classes: int) -> None:
    logits = torch.rand(20, classes, generator=torch.Generator().manual_seed(0))
    scores = score_logits(logits, torch.zeros(20, dtype=torch.int64))
    assert scores.top5 == 1.0
    assert 0 < scores.top1 < 1


def test_accuracy_is_exact_for_thousands_of_images() -> None:
    logits = torch.eye(2).repeat(10_000, 1)
    labels = torch.tensor([0, 1]).repeat(10_000)
    labels[123] = 1 - labels[123]
    assert score_logits(logits, labels).top1 == 19_999 / 20_000


def test_scores_are_plain_data() -> None:
    assert set(score_logits(LOGITS, torch.tensor([6, 4, 2, 6])).to_dict()) == {
        "top1",
        "top5",
        "nll",
        "images",
    }


def brightness(images: Tensor) -> Tensor:
    """Return logits for two classes, bright (0) and dark (1)."""
    mean = images.mean(dim=(1, 2, 3))
    return torch.stack([mean, 1 - mean], dim=1)


def test_images_are_scaled_to_the_unit_range_and_batched_in_order() -> None:
    images = (
        torch.arange(10, dtype=torch.uint8)
        .mul(28)
        .view(-1, 1, 1, 1)
        .expand(-1, 3, 2, 2)
        .repeat(30, 1, 1, 1)
    )
    sizes: list[int] = []

    def forward(batch: Tensor) -> Tensor:
        sizes.append(len(batch))
        assert not torch.is_grad_enabled()
        assert batch.dtype == torch.float32
        return brightness(batch)

    logits = predict(forward, images)
    assert sizes == [256, 44]
    torch.testing.assert_close(logits, brightness(images.float() / 255))
    # 4 * 28 = 112 is dark, and 5 * 28 = 140 is bright.
    labels = torch.tensor([1] * 4 + [0] * 6).repeat(30)
    assert score_network(forward, DatasetSplit(images, labels)).top1 == 9 / 10


def test_large_images_are_run_in_smaller_batches() -> None:
    sizes: list[int] = []

    def forward(batch: Tensor) -> Tensor:
        sizes.append(len(batch))
        return brightness(batch)

    predict(forward, torch.zeros(1, 3, 224, 224, dtype=torch.uint8).expand(50, -1, -1, -1))
    assert sizes == [20, 20, 10]
