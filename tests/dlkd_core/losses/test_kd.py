"""Tests for the KD loss between softened logits."""

import pytest
import torch

from dlkd_core.catalog.loss_params import KDParams
from dlkd_core.errors import ClassesDoNotFit
from tests.dlkd_core.losses.conftest import BuildLoss, MakeOutputs, make_targets

TARGETS = make_targets(torch.zeros(2, dtype=torch.int64))


def test_logits_that_differ_by_a_constant_cost_nothing(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    teacher = make_outputs(8)
    student = teacher._replace(logits=teacher.logits + 5)
    assert build_loss(KDParams())(student, teacher, TARGETS).item() == pytest.approx(0, abs=1e-6)


def test_a_gradient_step_moves_the_student_toward_the_teacher(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    student = make_outputs(8, seed=1)
    teacher = make_outputs(8, seed=2)
    loss = build_loss(KDParams(temperature=2.0))
    student.logits.requires_grad_()
    before = loss(student, teacher, TARGETS)
    before.backward()
    after = loss(
        student._replace(logits=(student.logits - student.logits.grad).detach()), teacher, TARGETS
    )
    assert 0 < after < before


def test_different_numbers_of_classes_are_an_error_that_names_both(build_loss: BuildLoss) -> None:
    with pytest.raises(ClassesDoNotFit, match="teacher has 1000 logits, but the student has 10"):
        build_loss(KDParams(), classes=1000)
