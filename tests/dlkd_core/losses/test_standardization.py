"""Tests for logit standardization."""

from dataclasses import replace

import pytest
import torch

from dlkd_core.catalog.base_loss_params import LossParams
from dlkd_core.catalog.loss_params import DKDParams, KDParams
from dlkd_core.common import import_target
from dlkd_core.errors import SpecError
from dlkd_core.losses.standardization import standardize_logits
from dlkd_core.network_outputs import OutputShapes
from tests.dlkd_core.losses.conftest import BuildLoss, MakeOutputs, make_context, make_targets

TARGETS = make_targets(torch.tensor([0, 1]))
STANDARDIZED = [KDParams(standardize=True), DKDParams(standardize=True)]


def test_standardized_logits_have_mean_zero_and_standard_deviation_one() -> None:
    logits = 5 + 3 * torch.randn(4, 10, generator=torch.Generator().manual_seed(0))
    standardized = standardize_logits(logits)
    torch.testing.assert_close(standardized.mean(dim=1), torch.zeros(4))
    torch.testing.assert_close(standardized.std(dim=1), torch.ones(4))


@pytest.mark.parametrize("params", STANDARDIZED, ids=lambda params: params.name)
def test_shift_and_scale_of_the_logits_cost_nothing(
    make_outputs: MakeOutputs, build_loss: BuildLoss, params: LossParams
) -> None:
    teacher = make_outputs(8)
    student = teacher._replace(logits=3 * teacher.logits + 5)
    loss = build_loss(params)
    assert loss(student, teacher, TARGETS).item() == pytest.approx(0, abs=1e-5)
    assert loss(make_outputs(8, seed=1), teacher, TARGETS).item() > 0.1


@pytest.mark.parametrize("params", STANDARDIZED, ids=lambda params: params.name)
def test_equal_logits_give_a_finite_gradient(
    make_outputs: MakeOutputs, build_loss: BuildLoss, params: LossParams
) -> None:
    student = make_outputs(8)._replace(logits=torch.zeros(8, 10, requires_grad=True))
    build_loss(params)(student, make_outputs(8, seed=1), TARGETS).backward()
    assert student.logits.grad is not None
    assert student.logits.grad.isfinite().all()


@pytest.mark.parametrize("params", STANDARDIZED, ids=lambda params: params.name)
def test_two_classes_are_rejected_and_three_are_not(params: LossParams) -> None:
    def build(classes: int) -> object:
        shapes = OutputShapes(classes, 8, ())
        context = replace(make_context(1), student_shapes=shapes, teacher_shapes=shapes)
        return import_target(params.target)(params, context)

    with pytest.raises(SpecError, match="at least three classes, but the dataset has 2") as caught:
        build(2)
    assert (caught.value.pointer, caught.value.hint) == ("/method", "Set standardize to false.")
    assert build(3)
