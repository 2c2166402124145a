"""Tests for the cross-entropy with the labels."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy, one_hot

from dlkd_core.catalog.loss_params import CrossEntropyParams
from dlkd_core.losses.cross_entropy import CrossEntropyLoss
from tests.dlkd_core.losses.conftest import BuildLoss, MakeOutputs, make_context, make_targets


def test_uniform_logits_cost_the_logarithm_of_the_number_of_classes(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    outputs = make_outputs(8)._replace(logits=torch.zeros(8, 10))
    targets = make_targets(torch.tensor([3, 7]))
    loss = build_loss(CrossEntropyParams())(outputs, None, targets)
    assert loss.item() == pytest.approx(math.log(10))


def test_rotated_views_are_ignored(make_outputs: MakeOutputs, build_loss: BuildLoss) -> None:
    outputs, targets = make_outputs(8), make_targets(torch.tensor([3, 7]))
    changed = outputs.logits.clone()
    changed[[1, 2, 3, 5, 6, 7]] += 9 * torch.eye(10)[0]
    loss = build_loss(CrossEntropyParams())
    other = outputs._replace(logits=changed)
    assert torch.equal(loss(outputs, None, targets), loss(other, None, targets))


@pytest.mark.parametrize("all_views", [False, True])
def test_mixed_images_have_weighted_labels(
    make_outputs: MakeOutputs, build_loss: BuildLoss, *, all_views: bool
) -> None:
    outputs, labels, others = make_outputs(8), torch.tensor([3, 7]), torch.tensor([1, 7])
    shares = torch.tensor([0.3, 0.9])
    targets = make_targets(labels)._replace(other_labels=others, shares=shares)
    loss = build_loss(CrossEntropyParams(all_views=all_views))
    probabilities = shares[:, None] * one_hot(labels, 10) + (1 - shares[:, None]) * one_hot(
        others, 10
    )
    logits, factor = (outputs.logits, 4) if all_views else (outputs.logits[[0, 4]], 1)
    expected = factor * cross_entropy(
        logits, probabilities.repeat_interleave(len(logits) // 2, dim=0)
    )
    assert loss(outputs, None, targets).item() == pytest.approx(expected.item(), rel=1e-6)


def test_smoothed_labels_spread_over_all_classes(make_outputs: MakeOutputs) -> None:
    outputs, labels = make_outputs(2), torch.tensor([3, 7])
    context = replace(make_context(1, teacher=None), label_smoothing=0.2)
    loss = CrossEntropyLoss(CrossEntropyParams(), context)
    probabilities = 0.8 * one_hot(labels, 10) + 0.2 / 10
    expected = cross_entropy(outputs.logits, probabilities).item()
    assert loss(outputs, None, make_targets(labels)).item() == pytest.approx(expected, rel=1e-6)
    mixed = make_targets(labels)._replace(other_labels=labels, shares=torch.tensor([0.3, 0.9]))
    assert loss(outputs, None, mixed).item() == pytest.approx(expected, rel=1e-6)


def test_an_incomplete_image_is_an_error(make_outputs: MakeOutputs, build_loss: BuildLoss) -> None:
    with pytest.raises(ValueError, match="7 rows cannot be divided into images with 4 views"):
        build_loss(CrossEntropyParams())(make_outputs(7), None, make_targets(torch.tensor([3])))
