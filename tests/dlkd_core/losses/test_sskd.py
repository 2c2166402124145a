"""Tests for SSKD, which compares similarities between the views of images."""

import pytest
import torch
from torch import nn

from dlkd_core.catalog.base_loss_params import LossParams
from dlkd_core.catalog.loss_params import CorrelationParams, KDParams, SSKDLogitsParams, SSKDParams
from dlkd_core.catalog.methods.published_methods import SSKD
from dlkd_core.errors import ClassesDoNotFit, SpecError
from dlkd_core.losses.sskd import select_well_ranked_rows
from tests.dlkd_core.losses.conftest import TEACHER_WIDTH, BuildLoss, MakeOutputs, make_targets

TARGETS = make_targets(torch.tensor([0, 1, 0, 2]))


def test_kd_and_sskd_logits_together_count_every_view_once(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    student, teacher = make_outputs(16), make_outputs(16, TEACHER_WIDTH, seed=1)
    every_row = build_loss(KDParams(temperature=4.0), views=1)(student, teacher, TARGETS)
    first, others = (
        build_loss(params)(student, teacher, TARGETS)
        for params in (KDParams(temperature=4.0), SSKDLogitsParams())
    )
    torch.testing.assert_close((first + 3 * others) / 4, every_row)


def test_with_all_rows_kept_the_loss_is_dlkds_correlation_times_the_squared_temperature(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    student, teacher = make_outputs(16), make_outputs(16, TEACHER_WIDTH, seed=1)
    loss = build_loss(SSKDParams(keep=1.0))
    correlation = build_loss(CorrelationParams(temperature=0.5))
    loss.head = correlation.head = nn.Identity()
    torch.testing.assert_close(
        loss(student, teacher, TARGETS), 0.25 * correlation(student, teacher, TARGETS)
    )


def test_the_best_ranked_fraction_of_the_rows_that_the_teacher_gets_wrong_is_kept() -> None:
    """There are 15 rows: 3 rotated views of each of 5 images. The teacher gets 4 rows wrong."""
    cosines = torch.eye(5).repeat_interleave(3, dim=0)
    for row, rank in enumerate([0, 3, 1, 2, 0, 1]):  # rank of the correct image, from 0
        others = [column for column in range(5) if column != row // 3]
        cosines[row, others[:rank]] = 2.0
    right = [True] * 9
    assert select_well_ranked_rows(cosines, 1.0).all()
    first_rows = [True, False, True, True, True, True]
    assert select_well_ranked_rows(cosines, 0.75).tolist() == [*first_rows, *right]
    first_rows = [True, False, True, False, True, True]
    assert select_well_ranked_rows(cosines, 0.5).tolist() == [*first_rows, *right]
    first_rows = [True, False, False, False, True, False]
    assert select_well_ranked_rows(cosines, 0.0).tolist() == [*first_rows, *right]


def test_dropped_rows_have_no_gradient(make_outputs: MakeOutputs, build_loss: BuildLoss) -> None:
    loss = build_loss(SSKDParams(keep=0.5))
    student = make_outputs(16)
    teacher = make_outputs(16, TEACHER_WIDTH, seed=1)
    units = torch.nn.functional.normalize(teacher.features, dim=1).view(4, 4, -1)
    kept = select_well_ranked_rows(units[:, 1:].flatten(0, 1) @ units[:, 0].T, 0.5)
    assert 0 < kept.sum() < 12
    student.features.requires_grad_()
    loss(student, teacher, TARGETS).backward()
    assert student.features.grad is not None
    has_gradient = student.features.grad.view(4, 4, -1)[:, 1:].flatten(0, 1).any(dim=1)
    assert torch.equal(has_gradient, kept)


def test_the_weights_are_the_published_ones() -> None:
    method = SSKD()
    assert method.views == "rotation4"
    assert {term.name: term.weight for term in method.active_terms()} == {
        "labels": 0.1,
        "kd": 0.9,
        "sskd_logits": 2.7,
        "sskd": 10,
    }


@pytest.mark.parametrize(
    "params", [SSKDLogitsParams(), SSKDParams()], ids=lambda params: params.name
)
def test_a_single_view_is_an_error_with_a_hint(build_loss: BuildLoss, params: LossParams) -> None:
    with pytest.raises(SpecError, match="there is one per image") as caught:
        build_loss(params, views=1)
    assert "rotation4" in caught.value.hint


def test_different_numbers_of_classes_are_an_error(build_loss: BuildLoss) -> None:
    with pytest.raises(ClassesDoNotFit):
        build_loss(SSKDLogitsParams(), classes=1000)
