"""Tests for knowledge alignment."""

import pytest
import torch
from torch import nn

from dlkd_core.catalog.loss_params import AlignmentParams
from tests.dlkd_core.losses.conftest import (
    STUDENT_WIDTH,
    TEACHER_WIDTH,
    BuildLoss,
    MakeOutputs,
    make_targets,
)

TARGETS = make_targets(torch.zeros(2, dtype=torch.int64))


def test_scaled_teacher_features_cost_nothing_and_negated_ones_four(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    loss, teacher = build_loss(AlignmentParams(), teacher=STUDENT_WIDTH), make_outputs(8)
    loss.head = nn.Identity()
    scaled = teacher._replace(features=7 * teacher.features)
    negated = teacher._replace(features=-teacher.features)
    assert loss(scaled, teacher, TARGETS).item() == pytest.approx(0, abs=1e-6)
    assert loss(negated, teacher, TARGETS).item() == pytest.approx(4)


def test_the_gradient_reaches_the_head_and_every_view_of_the_student(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    loss, student = build_loss(AlignmentParams()), make_outputs(8)
    student.features.requires_grad_()
    loss(student, make_outputs(8, TEACHER_WIDTH), TARGETS).backward()
    assert student.features.grad is not None
    assert (student.features.grad.abs().sum(dim=1) > 0).all()
    assert all(
        weight.grad is not None and weight.grad.any()
        for weight in (loss.head[0].weight, loss.head[3].weight)
    )


def test_a_run_without_a_teacher_is_an_error(build_loss: BuildLoss) -> None:
    with pytest.raises(ValueError, match="the run has none"):
        build_loss(AlignmentParams(), teacher=None)


def test_the_orthogonal_projection_stays_orthogonal_in_training_and_in_a_checkpoint(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    params = AlignmentParams(projector="orthogonal")
    loss, resumed = build_loss(params), build_loss(params)
    before = loss.head.weight.detach().clone()  # (teacher width, student width)
    optimizer = torch.optim.SGD(loss.parameters(), lr=10.0)
    for _ in range(5):
        optimizer.zero_grad()
        loss(make_outputs(8), make_outputs(8, TEACHER_WIDTH, seed=1), TARGETS).backward()
        optimizer.step()
    after = loss.head.weight
    assert (after - before).norm() > 0.1
    torch.testing.assert_close(after.T @ after, torch.eye(STUDENT_WIDTH), atol=1e-5, rtol=0)
    resumed.load_state_dict(loss.state_dict())
    torch.testing.assert_close(resumed.head.weight, after)


def test_the_orthogonal_projection_ignores_shift_and_scale_of_the_teachers_features(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    loss = build_loss(AlignmentParams(projector="orthogonal"))
    student, teacher = make_outputs(8), make_outputs(8, TEACHER_WIDTH, seed=1)
    changed = teacher._replace(features=7 * teacher.features + 3)
    torch.testing.assert_close(
        loss(student, changed, TARGETS), loss(student, teacher, TARGETS), rtol=1e-4, atol=0
    )
