"""What a format promises, with and without labels."""

import torch
from torch.nn.functional import one_hot

from dlkd_core.export.agreement import CloseAccuracy

ANSWERS = torch.arange(100) % 4
NO_LABELS = torch.full((100,), -1)


def answered_otherwise(count: int) -> torch.Tensor:
    answers = ANSWERS.clone()
    answers[:count] = (answers[:count] + 1) % 4
    return one_hot(answers).float()


def test_with_labels_points_of_accuracy_may_be_lost() -> None:
    expected, promise = one_hot(ANSWERS).float(), CloseAccuracy(0.5)
    assert promise.broken(expected, expected, ANSWERS) is None
    assert promise.broken(answered_otherwise(1), expected, ANSWERS) == "loses 1.0 points of top-1; 0.5 are allowed"
    assert promise.broken(answered_otherwise(1), expected, (ANSWERS + 2) % 4) is None  # wrong before, wrong after


def test_without_labels_answers_may_change() -> None:
    expected, promise = one_hot(ANSWERS).float(), CloseAccuracy(0.5)
    assert promise.broken(answered_otherwise(2), expected, NO_LABELS) is None
    assert promise.broken(answered_otherwise(3), expected, NO_LABELS) == "answers 3.0 % of the images otherwise; 2.0 are allowed"
