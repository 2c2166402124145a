"""Tests for possible label errors, with probabilities computed by hand."""

import pytest
import torch

from dlkd_core.evaluation.label_errors import LabelError, find_label_errors


def test_a_label_is_wrong_if_it_is_unlikely_and_another_class_is_certain() -> None:
    probabilities = torch.tensor(
        [
            [0.9, 0.1, 1e-9],
            [0.7, 0.3, 1e-9],
            [0.05, 0.95, 1e-9],  # labeled 0, and certainly 1
            [0.2, 0.8, 1e-9],
            [0.4, 0.6, 1e-9],
            [0.45, 0.55, 1e-9],  # labeled 1, unlikely for its class, but no other class is certain
            [0.65, 0.35, 1e-9],  # labeled 1, and likely 0
        ]
    )
    labels = torch.tensor([0, 0, 0, 1, 1, 1, 1])
    # The thresholds are 0.55 for class 0 and 0.575 for class 1. No image has class 2.
    found = find_label_errors(probabilities.log(), labels)
    assert [(error.index, error.label, error.suggested_label) for error in found] == [
        (2, 0, 1),
        (6, 1, 0),
    ]
    assert found[0].confidence == pytest.approx(0.05, abs=1e-6)
    assert found[0].suggested_confidence == pytest.approx(0.95, abs=1e-6)


def test_the_most_likely_of_several_certain_classes_is_suggested() -> None:
    logits = torch.tensor([[0.2, 0.35, 0.45], [0.9, 0.05, 0.05], [0.6, 0.3, 0.1], [0.6, 0.1, 0.3]])
    found = find_label_errors(logits.log(), torch.tensor([0, 0, 1, 2]))
    assert found[0] == LabelError(0, 0, pytest.approx(0.2), 2, pytest.approx(0.45))


def test_a_perfect_classifier_finds_no_errors() -> None:
    labels = torch.arange(3).repeat(4)
    assert find_label_errors(10.0 * torch.eye(3)[labels], labels) == []


def test_flipped_labels_are_found() -> None:
    torch.manual_seed(0)
    truth = torch.randint(5, (500,))
    logits = 6 * torch.eye(5)[truth] + torch.randn(500, 5)
    labels = truth.clone()
    flipped = torch.arange(0, 500, 25)
    labels[flipped] = (labels[flipped] + 1) % 5
    found = {error.index for error in find_label_errors(logits, labels)}
    assert len(found & set(flipped.tolist())) >= 18
    assert len(found) < 40
