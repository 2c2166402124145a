"""Tests for multi-level logit distillation."""

import pytest
import torch

from dlkd_core.catalog.loss_params import MLLDParams
from dlkd_core.errors import SpecError
from tests.dlkd_core.losses.conftest import BuildLoss, MakeOutputs, make_targets

TARGETS = make_targets(torch.tensor([0, 1, 2, 3]))


def test_equal_logits_cost_nothing_and_every_view_is_compared(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    loss, teacher = build_loss(MLLDParams(), views=2), make_outputs(8)
    assert loss(teacher, teacher, TARGETS).item() == pytest.approx(0, abs=1e-5)
    student = make_outputs(8, seed=1)
    student.logits.requires_grad_()
    loss(student, teacher, TARGETS).backward()
    assert student.logits.grad is not None
    assert (student.logits.grad.abs().sum(dim=1) > 0).all()


def test_a_single_view_is_rejected(build_loss: BuildLoss) -> None:
    with pytest.raises(SpecError, match="several views") as caught:
        build_loss(MLLDParams(), views=1)
    assert caught.value.pointer == "/method/views"
