"""Tests for the cross-entropy with the labels."""

import math

import pytest
import torch

from dlkd_core.catalog.loss_params import CrossEntropyParams
from tests.dlkd_core.losses.conftest import BuildLoss, MakeOutputs, make_targets


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


def test_an_incomplete_image_is_an_error(make_outputs: MakeOutputs, build_loss: BuildLoss) -> None:
    with pytest.raises(ValueError, match="7 rows cannot be divided into images with 4 views"):
        build_loss(CrossEntropyParams())(make_outputs(7), None, make_targets(torch.tensor([3])))
