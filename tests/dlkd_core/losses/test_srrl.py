"""Tests for softmax regression with the teacher's classifier."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from dlkd_core.catalog.loss_params import SRRLParams
from dlkd_core.errors import SpecError
from dlkd_core.losses.srrl import SRRLLoss
from dlkd_core.network_outputs import OutputShapes
from tests.dlkd_core.losses.conftest import (
    STUDENT_WIDTH,
    TEACHER_WIDTH,
    BuildLoss,
    MakeOutputs,
    classify_features,
    make_context,
    make_targets,
)

TARGETS = make_targets(torch.tensor([0, 1, 0, 2]))


def test_the_loss_is_the_squared_error_of_features_and_logits(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    loss = build_loss(SRRLParams(regression=3.0), views=1)
    teacher = make_outputs(4, TEACHER_WIDTH, seed=1)
    teacher = teacher._replace(
        features=teacher.features.abs(), logits=classify_features(teacher.features.abs())
    )
    loss.connector = nn.Identity()
    equal = make_outputs(4)._replace(features=teacher.features)
    assert loss(equal, teacher, TARGETS).item() == pytest.approx(0, abs=1e-10)
    # Each logit is the sum of two features, so adding 1 to the features adds 2 to the logits.
    shifted = equal._replace(features=teacher.features + 1)
    assert loss(shifted, teacher, TARGETS).item() == pytest.approx(1 + 3 * 4, rel=1e-5)


def test_the_last_map_is_used_only_if_it_is_as_wide_as_the_features(
    make_outputs: MakeOutputs,
) -> None:
    pooled = replace(make_context(1), student_shapes=OutputShapes(10, 8, ((8, 2, 2),)))
    assert SRRLLoss(SRRLParams(), pooled).uses_map
    loss = SRRLLoss(SRRLParams(), make_context(1))
    assert not loss.uses_map
    other_maps = make_outputs(4)._replace(feature_maps=make_outputs(4, seed=7).feature_maps)
    teacher = make_outputs(4, TEACHER_WIDTH, seed=1)
    assert loss(other_maps, teacher, TARGETS) == loss(make_outputs(4), teacher, TARGETS)


def test_the_teachers_classifier_is_neither_trained_nor_saved(make_outputs: MakeOutputs) -> None:
    layer = nn.Linear(TEACHER_WIDTH, 10).requires_grad_(requires_grad=False)
    loss = SRRLLoss(SRRLParams(), replace(make_context(1), teacher_classifier=layer))
    assert not any(
        parameter is weight for parameter in loss.parameters() for weight in layer.parameters()
    )
    assert {key.partition(".")[0] for key in loss.state_dict()} == {"connector"}
    student = make_outputs(4)
    student.features.requires_grad_()
    loss(student, make_outputs(4, TEACHER_WIDTH, seed=1), TARGETS).backward()
    assert student.features.grad is not None
    assert student.features.grad.shape == (4, STUDENT_WIDTH)
    assert layer.weight.grad is None


def test_a_teacher_without_a_classifier_is_an_error_with_a_hint() -> None:
    with pytest.raises(SpecError, match="own linear classifier") as caught:
        SRRLLoss(SRRLParams(), replace(make_context(1), teacher_classifier=None))
    assert "catalog" in caught.value.hint
