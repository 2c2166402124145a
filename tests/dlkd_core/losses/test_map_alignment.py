"""Tests for the alignment of feature maps."""

import pytest
import torch
from torch.nn.functional import adaptive_avg_pool2d

from dlkd_core.catalog.feature_map_loss_params import MapAlignmentParams
from dlkd_core.losses.block_pairs import pair_stages
from tests.dlkd_core.losses.conftest import (
    MAPS,
    STUDENT_WIDTH,
    TEACHER_WIDTH,
    BuildLoss,
    MakeOutputs,
    make_targets,
    random_outputs,
)

TARGETS = make_targets(torch.tensor([0, 1, 2, 3]))
# The last blocks of the three deepest sizes, with the common size of each pair.
PAIRS = [(0, 1, (8, 8)), (1, 2, (4, 4)), (2, 3, (2, 2))]


def test_loss_is_the_squared_error_of_the_standardized_maps(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    loss = build_loss(MapAlignmentParams(), views=1)
    student, teacher = make_outputs(4), make_outputs(4, TEACHER_WIDTH, seed=1)
    sample = random_outputs(8, TEACHER_WIDTH, seed=9)  # the teacher's sample of `make_context`
    expected = torch.zeros(())
    for index, (student_block, teacher_block, size) in enumerate(PAIRS):
        pooled = adaptive_avg_pool2d(sample.feature_maps[teacher_block], size)
        std, mean = torch.std_mean(pooled, dim=(0, 2, 3), correction=0, keepdim=True)
        target = (adaptive_avg_pool2d(teacher.feature_maps[teacher_block], size) - mean) / std
        pooled = adaptive_avg_pool2d(student.feature_maps[student_block], size)
        regressed = loss.regressors[index](pooled)
        expected = expected + (regressed - target).square().mean()
    assert loss(student, teacher, TARGETS).item() == pytest.approx(expected.item(), rel=1e-5)


def test_regressing_the_mean_of_the_teacher_gives_one_per_stage(build_loss: BuildLoss) -> None:
    loss = build_loss(MapAlignmentParams(), views=1)
    for regressor in loss.regressors:
        torch.nn.init.zeros_(regressor.weight)
        torch.nn.init.zeros_(regressor.bias)
    sample = random_outputs(8, TEACHER_WIDTH, seed=9)
    value = loss(random_outputs(8), sample, make_targets(torch.zeros(8, dtype=torch.int64)))
    assert value.item() == pytest.approx(len(PAIRS), rel=1e-5)


def test_larger_maps_are_compared_at_the_largest_allowed_size(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    loss = build_loss(MapAlignmentParams(max_size=2), views=1)
    assert loss.sizes == [(2, 2), (2, 2), (2, 2)]
    assert loss(make_outputs(4), make_outputs(4, TEACHER_WIDTH), TARGETS).isfinite()


def test_constant_channels_of_the_teacher_stay_finite(
    make_outputs: MakeOutputs, build_loss: BuildLoss, monkeypatch: pytest.MonkeyPatch
) -> None:
    constant = random_outputs(8, TEACHER_WIDTH, seed=9)
    for feature_map in constant.feature_maps:
        feature_map[:, 0] = 3.0
    monkeypatch.setattr(
        "tests.dlkd_core.losses.conftest.random_outputs", lambda *_args, **_kwargs: constant
    )
    loss = build_loss(MapAlignmentParams(), views=1)
    value = loss(make_outputs(4), random_outputs(4, TEACHER_WIDTH, seed=9), TARGETS)
    assert value.isfinite()
    for index in range(len(PAIRS)):
        assert loss.get_buffer(f"std_{index}").min() > 0


def test_rare_values_of_a_nearly_constant_channel_are_not_scaled_up_to_huge_targets(
    make_outputs: MakeOutputs, build_loss: BuildLoss, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = random_outputs(8, TEACHER_WIDTH, seed=9)
    for feature_map in sample.feature_maps:
        feature_map[:, 0] *= 1e-4
    monkeypatch.setattr(
        "tests.dlkd_core.losses.conftest.random_outputs", lambda *_args, **_kwargs: sample
    )
    loss = build_loss(MapAlignmentParams(), views=1)
    teacher = make_outputs(4, TEACHER_WIDTH, seed=1)  # its channel 0 varies as much as the others
    assert loss(make_outputs(4), teacher, TARGETS).item() < 20 * len(PAIRS)


@pytest.mark.parametrize(
    ("student", "teacher", "pairs"),
    [
        pytest.param(
            MAPS[STUDENT_WIDTH], MAPS[TEACHER_WIDTH], [(0, 1), (1, 2), (2, 3)], id="four to three"
        ),
        pytest.param(
            [(128, 16, 16), (256, 8, 8), (512, 4, 4), (512, 4, 4)],
            [(16, 32, 32), (32, 16, 16), (64, 8, 8)],
            [(0, 0), (1, 1), (3, 2)],
            id="two blocks of one size",
        ),
        pytest.param(
            [(192, 14, 14)] * 12,
            [(64, 56, 56), (128, 28, 28), (256, 14, 14), (512, 7, 7)],
            [(3, 1), (7, 2), (11, 3)],
            id="transformer of one size",
        ),
        pytest.param([(8, 4, 4)], [(8, 8, 8), (8, 4, 4)], [(0, 1)], id="one block"),
    ],
)
def test_stages_are_paired_from_the_deep_end(
    student: list[tuple[int, ...]], teacher: list[tuple[int, ...]], pairs: list[tuple[int, int]]
) -> None:
    assert pair_stages(student, teacher) == pairs
