"""Tests for export tolerances with and without labels."""

import torch
from torch.nn.functional import one_hot

from dlkd_core.export.tolerance import AccuracyTolerance

ANSWERS = torch.arange(100) % 4
NO_LABELS = torch.full((100,), -1)


def flip_answers(count: int) -> torch.Tensor:
    answers = ANSWERS.clone()
    answers[:count] = (answers[:count] + 1) % 4
    return one_hot(answers).float()


def test_with_labels_the_loss_of_top1_is_limited() -> None:
    expected, tolerance = one_hot(ANSWERS).float(), AccuracyTolerance(0.5)
    assert tolerance.find_violation(expected, expected, ANSWERS) is None
    assert (
        tolerance.find_violation(flip_answers(1), expected, ANSWERS)
        == "loses 1.0 points of top-1, but only 0.5 are allowed"
    )
    # The changed predictions are wrong both before and after export.
    assert tolerance.find_violation(flip_answers(1), expected, (ANSWERS + 2) % 4) is None


def test_without_labels_the_share_of_changed_answers_is_limited() -> None:
    expected, tolerance = one_hot(ANSWERS).float(), AccuracyTolerance(0.5)
    assert tolerance.find_violation(flip_answers(2), expected, NO_LABELS) is None
    assert (
        tolerance.find_violation(flip_answers(3), expected, NO_LABELS)
        == "changes the answer on 3.0% of the images, but only 2.0% is allowed"
    )
