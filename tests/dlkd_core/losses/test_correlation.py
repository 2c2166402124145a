"""Tests for knowledge correlation."""

import pytest
import torch
from torch import nn

from dlkd_core.catalog.loss_params import CorrelationParams
from tests.dlkd_core.losses.conftest import (
    STUDENT_WIDTH,
    TEACHER_WIDTH,
    BuildLoss,
    MakeOutputs,
    make_targets,
)

TARGETS = make_targets(torch.zeros(4, dtype=torch.int64))


@pytest.mark.parametrize("views", [1, 4])
def test_rotated_and_scaled_teacher_features_cost_nothing(
    make_outputs: MakeOutputs, build_loss: BuildLoss, views: int
) -> None:
    loss, teacher = build_loss(CorrelationParams(), views=views), make_outputs(4 * views)
    loss.head = nn.Identity()
    rotation, _ = torch.linalg.qr(make_outputs(STUDENT_WIDTH, seed=3).features)
    student = teacher._replace(features=5 * teacher.features @ rotation)
    assert loss(student, teacher, TARGETS).item() == pytest.approx(0, abs=1e-6)
    assert loss(make_outputs(4 * views, seed=4), teacher, TARGETS) > 1e-3


@pytest.mark.parametrize("views", [1, 4])
def test_the_gradient_reaches_the_head(
    make_outputs: MakeOutputs, build_loss: BuildLoss, views: int
) -> None:
    loss = build_loss(CorrelationParams(), views=views)
    loss(
        make_outputs(4 * views), make_outputs(4 * views, TEACHER_WIDTH, seed=1), TARGETS
    ).backward()
    assert all(
        weight.grad is not None and weight.grad.any()
        for weight in (loss.head[0].weight, loss.head[3].weight)
    )


def test_with_one_view_a_row_is_not_compared_with_itself(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    """With two rows, each row is compared with only one other row, so the loss is always zero."""
    loss = build_loss(CorrelationParams(), views=1)
    assert (
        loss(
            make_outputs(2),
            make_outputs(2, TEACHER_WIDTH, seed=1),
            make_targets(TARGETS.labels[:2]),
        ).item()
        == 0
    )


def test_with_one_view_the_loss_is_the_divergence_over_the_other_rows(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    loss = build_loss(CorrelationParams(temperature=0.5), views=1)
    student = make_outputs(4)
    teacher = make_outputs(4, TEACHER_WIDTH, seed=1)
    loss.head = nn.Identity()
    expected = 0.0
    for i in range(4):
        keys = [j for j in range(4) if j != i]
        p, q = (
            torch.stack([torch.cosine_similarity(rows[i], rows[j], dim=0) for j in keys])
            .div(0.5)
            .softmax(dim=0)
            for rows in (teacher.features, student.features)
        )
        expected += (p * (p / q).log()).sum().item() / 4
    assert loss(student, teacher, TARGETS).item() == pytest.approx(expected, rel=1e-4)


def test_an_incomplete_image_is_an_error(make_outputs: MakeOutputs, build_loss: BuildLoss) -> None:
    with pytest.raises(ValueError, match="6 rows cannot be divided into images with 4 views"):
        build_loss(CorrelationParams())(make_outputs(6), make_outputs(6, TEACHER_WIDTH), TARGETS)


def test_with_two_crops_the_second_ones_are_queries_and_the_first_ones_keys(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    loss = build_loss(CorrelationParams(temperature=0.5), views=2)
    student = make_outputs(8)
    teacher = make_outputs(8, TEACHER_WIDTH, seed=1)
    loss.head = nn.Identity()
    expected = 0.0
    for query in range(1, 8, 2):
        p, q = (
            torch.stack(
                [torch.cosine_similarity(rows[query], rows[key], dim=0) for key in range(0, 8, 2)]
            )
            .div(0.5)
            .softmax(dim=0)
            for rows in (teacher.features, student.features)
        )
        expected += (p * (p / q).log()).sum().item() / 4
    assert loss(student, teacher, TARGETS).item() == pytest.approx(expected, rel=1e-4)
