"""Tests for the difference of two accuracies on the same images."""

from math import sqrt

import pytest
import torch
from torch import Tensor

from dlkd_core.evaluation.paired_difference import compare_accuracy


def make_logits(hits: list[bool]) -> tuple[Tensor, Tensor]:
    """Return logits over two classes that hit the given images, and labels."""
    answers = torch.tensor([0 if hit else 1 for hit in hits])
    return torch.nn.functional.one_hot(answers, 2).float(), torch.zeros(len(hits), dtype=torch.long)


def compare(wins: int, losses: int, ties: int) -> tuple[float, float]:
    first, labels = make_logits([True] * wins + [False] * losses + [True] * ties)
    second, _ = make_logits([False] * wins + [True] * losses + [True] * ties)
    result = compare_accuracy(first, second, labels)
    return result.difference, result.half_width


def test_difference_and_interval_follow_the_published_formula() -> None:
    difference, half_width = compare(wins=40, losses=10, ties=150)
    assert difference == pytest.approx(30 / 200)
    # Half an image more for each outcome: 40.5 wins and 10.5 losses of 202 images.
    win, loss = 40.5 / 202, 10.5 / 202
    expected = 1.959964 * sqrt((win + loss - (win - loss) ** 2) / 202)
    assert half_width == pytest.approx(expected, rel=1e-9)
    assert compare(wins=10, losses=40, ties=150) == pytest.approx((-30 / 200, half_width))


def test_the_interval_depends_on_the_images_on_which_the_networks_disagree() -> None:
    assert compare(50, 50, 900)[1] > 2 * compare(5, 5, 990)[1]


def test_a_few_images_are_not_certainty() -> None:
    for wins in range(5):
        difference, half_width = compare(wins, 0, 100 - wins)
        assert half_width > difference  # an exact sign test does not reject these either
    difference, half_width = compare(8, 0, 92)
    assert half_width < difference


def test_the_interval_covers_the_true_difference_in_95_percent_of_samples() -> None:
    generator = torch.Generator().manual_seed(0)
    outcomes = torch.multinomial(
        torch.tensor([0.12, 0.05, 0.83]), 500 * 300, replacement=True, generator=generator
    ).view(500, 300)
    covered = 0
    for sample in outcomes:
        wins, losses = int((sample == 0).sum()), int((sample == 1).sum())
        difference, half_width = compare(wins, losses, 300 - wins - losses)
        covered += abs(difference - 0.07) <= half_width
    assert 0.93 <= covered / 500 <= 0.98
