"""Tests for weighted transformed teacher matching."""

import torch

from dlkd_core.catalog.loss_params import KDParams, WTTMParams
from tests.dlkd_core.losses.conftest import BuildLoss, MakeOutputs, make_targets

TARGETS = make_targets(torch.tensor([0, 1]))


def test_exponent_1_is_kd_with_temperature_1(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    student, teacher = make_outputs(8), make_outputs(8, seed=1)
    torch.testing.assert_close(
        build_loss(WTTMParams(exponent=1.0))(student, teacher, TARGETS),
        build_loss(KDParams(temperature=1.0))(student, teacher, TARGETS),
    )


def test_a_very_confident_teacher_gives_a_finite_loss(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    student, teacher = make_outputs(8), make_outputs(8, seed=1)
    confident = teacher._replace(logits=1000 * teacher.logits)
    assert build_loss(WTTMParams())(student, confident, TARGETS).isfinite()
