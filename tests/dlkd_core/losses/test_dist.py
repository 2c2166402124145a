"""Tests for DIST, which compares inter-class and intra-class relations."""

import pytest
import torch

from dlkd_core.catalog.loss_params import DISTParams
from tests.dlkd_core.losses.conftest import STUDENT_WIDTH, BuildLoss, MakeOutputs, make_targets

TARGETS = make_targets(torch.tensor([0, 1, 0, 2]))


def test_shifting_and_stretching_the_probabilities_within_a_class_costs_nothing(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    loss = build_loss(DISTParams(beta=0.0, temperature=1.0), views=1, teacher=STUDENT_WIDTH)
    teacher = make_outputs(4)
    halfway = teacher.logits.softmax(dim=1) / 2 + 0.05  # each row still sums to 1
    assert loss(teacher._replace(logits=halfway.log()), teacher, TARGETS).item() == pytest.approx(
        0, abs=1e-5
    )


def test_a_class_without_variance_counts_as_no_correlation(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    """The published code adds an epsilon to avoid dividing by a number close to zero."""
    loss = build_loss(DISTParams(beta=0.0, temperature=1.0), views=1, teacher=STUDENT_WIDTH)
    flat = make_outputs(4)._replace(logits=1e-7 * make_outputs(4).logits)
    flat.logits.requires_grad_()
    value = loss(flat, flat._replace(logits=flat.logits.detach()), TARGETS)
    value.backward()
    assert value.item() == pytest.approx(1, abs=1e-3)
    assert flat.logits.grad is not None
    assert flat.logits.grad.isfinite().all()
