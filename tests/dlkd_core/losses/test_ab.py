"""Tests for activation boundary transfer."""

import pytest
import torch
from torch import nn

from dlkd_core.catalog.feature_map_loss_params import ABParams
from tests.dlkd_core.losses.conftest import (
    STUDENT_WIDTH,
    TEACHER_WIDTH,
    BuildLoss,
    MakeOutputs,
    make_targets,
)

TARGETS = make_targets(torch.tensor([0, 1, 0, 2]))


@pytest.mark.parametrize(
    ("student", "teacher", "cost"),
    [
        (1.5, 2.0, 0),
        (0.5, 2.0, 0.25),
        (-1.0, 0.1, 4),
        (-1.5, 0.0, 0),
        (-0.5, 0.0, 0.25),
        (1.0, -3.0, 4),
    ],
)
def test_a_neuron_costs_its_squared_distance_to_the_margin_on_the_teachers_side(
    build_loss: BuildLoss, student: float, teacher: float, cost: float
) -> None:
    student_map, teacher_map = (torch.full((2, 3, 4, 4), value) for value in (student, teacher))
    loss = build_loss(ABParams(margin=1.0), views=1)
    value = loss.compute_loss(student_map, teacher_map)
    assert value.item() == pytest.approx(cost * 3 * 4 * 4 * 0.003)


def test_each_block_has_half_the_weight_of_the_next_deeper_one(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    loss = build_loss(ABParams(), views=1, teacher=STUDENT_WIDTH)
    loss.connectors = nn.ModuleList(nn.Identity() for _ in loss.connectors)
    student, teacher = make_outputs(4), make_outputs(4, seed=1)
    pairs = zip(student.feature_maps, teacher.feature_maps, strict=True)
    block_losses = [
        loss.compute_loss(student_map, teacher_map) for student_map, teacher_map in pairs
    ]
    torch.testing.assert_close(
        loss(student, teacher, TARGETS), block_losses[0] / 4 + block_losses[1] / 2 + block_losses[2]
    )


def test_connectors_map_to_the_teachers_width(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    loss, teacher = build_loss(ABParams(), views=1), make_outputs(4, TEACHER_WIDTH, seed=1)
    pairs = zip(loss.connectors, make_outputs(4).feature_maps, strict=True)
    connected = [connector(student_map) for connector, student_map in pairs]
    assert [maps.shape[1] for maps in connected] == [
        maps.shape[1] for maps in teacher.feature_maps[1:]
    ]
    assert torch.equal(
        loss(make_outputs(4), teacher, TARGETS), loss(make_outputs(4), teacher, TARGETS)
    )


def test_a_neuron_cut_off_by_the_students_relu_can_still_become_active(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    """Even blocks of equal shape get a connector between them. Its output can be negative."""
    loss, teacher = build_loss(ABParams(), views=1, teacher=STUDENT_WIDTH), make_outputs(4, seed=1)
    cut = [maps.relu() for maps in make_outputs(4).feature_maps]
    blocks = zip(loss.connectors, cut, teacher.feature_maps, strict=True)
    for connector, student_map, teacher_map in blocks:
        connected = connector(student_map)
        assert connected.shape == teacher_map.shape
        assert (connected < 0).any()
