"""Tests for distillation with the teacher's classifier."""

import pytest
import torch
from torch import nn

from dlkd_core.catalog.feature_map_loss_params import SimKDParams
from dlkd_core.catalog.methods import Combine
from tests.dlkd_core.losses.conftest import (
    MAPS,
    TEACHER_WIDTH,
    BuildLoss,
    MakeOutputs,
    make_targets,
)

TARGETS = make_targets(torch.zeros(2, dtype=torch.int64))


def test_the_term_does_not_train_the_students_classifier() -> None:
    method = Combine(terms=(SimKDParams(),))
    assert not method.trains_classifier
    assert method.terms_needing_feature_maps() == ["simkd"]


def test_the_projector_maps_to_the_width_of_the_teachers_last_map(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    loss = build_loss(SimKDParams(factor=3))
    channels = MAPS[TEACHER_WIDTH][-1][0]
    convolutions = [layer for layer in loss.projector if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [
        channels // 3,
        channels // 3,
        channels,
    ]
    student = make_outputs(8)
    assert loss.projector(student.feature_maps[-1]).shape[1] == channels


def test_the_loss_is_the_squared_error_of_the_last_maps(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    loss, teacher = build_loss(SimKDParams()), make_outputs(8, TEACHER_WIDTH)
    loss.projector = nn.Identity()
    shifted = teacher._replace(feature_maps=[maps + 2 for maps in teacher.feature_maps])
    assert loss(teacher, teacher, TARGETS).item() == 0
    assert loss(shifted, teacher, TARGETS).item() == pytest.approx(4, rel=1e-5)
