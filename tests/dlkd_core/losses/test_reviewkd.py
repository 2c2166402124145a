"""Tests for knowledge review, which fuses deep feature maps into shallow ones."""

import pytest
import torch
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from dlkd_core.catalog.feature_map_loss_params import ReviewKDParams
from dlkd_core.catalog.methods.published_methods import ReviewKD
from dlkd_core.losses.reviewkd import hierarchical_context_loss
from dlkd_core.network_outputs import Outputs
from tests.dlkd_core.losses.conftest import TEACHER_WIDTH, BuildLoss, MakeOutputs, make_targets

TARGETS = make_targets(torch.tensor([0, 1, 0, 2]))


@pytest.mark.parametrize(("size", "pooled"), [(8, (4, 2, 1)), (4, (2, 1)), (2, (1,)), (1, ())])
def test_maps_are_compared_whole_and_at_smaller_pooled_sizes(
    make_outputs: MakeOutputs, size: int, pooled: tuple[int, ...]
) -> None:
    student, teacher = (
        interpolate(make_outputs(4, seed=seed).feature_maps[0], size) for seed in (0, 1)
    )
    difference = student - teacher
    weights = [1 / 2**level for level in range(len(pooled) + 1)]
    errors = [
        difference.square().mean(),
        *(adaptive_avg_pool2d(difference, side).square().mean() for side in pooled),
    ]
    weighted = sum(weight * error.item() for weight, error in zip(weights, errors, strict=True))
    expected = weighted / sum(weights)
    assert hierarchical_context_loss(student, teacher).item() == pytest.approx(expected, rel=1e-5)


def test_a_shallow_stage_depends_on_the_deeper_ones_and_not_vice_versa(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    loss = build_loss(ReviewKDParams(), views=1)
    student = make_outputs(4)
    teacher = make_outputs(4, TEACHER_WIDTH, seed=1)
    sizes = [(1, 1), *(maps.shape[2:] for maps in reversed(teacher.feature_maps[1:]))]

    def fuse(outputs: Outputs) -> list[torch.Tensor]:
        stages = [outputs.features[:, :, None, None], *reversed(outputs.feature_maps)]
        results, deeper = [], None
        for fusion, stage, size in zip(loss.fusions, stages, sizes, strict=True):
            expanded, deeper = fusion(stage, deeper, size)
            results.append(expanded)
        return results

    first = fuse(student)
    assert [tuple(maps.shape[1:]) for maps in first] == [
        (TEACHER_WIDTH, 1, 1),
        (11, 3, 3),
        (9, 7, 7),
        (7, 8, 8),
    ]
    other_features = fuse(student._replace(features=make_outputs(4, seed=9).features))
    assert not any(torch.equal(a, b) for a, b in zip(first, other_features, strict=True))
    other_shallow = fuse(
        student._replace(
            feature_maps=(make_outputs(4, seed=9).feature_maps[0], *student.feature_maps[1:])
        )
    )
    assert [torch.equal(a, b) for a, b in zip(first, other_shallow, strict=True)] == [
        True,
        True,
        True,
        False,
    ]


def test_the_weight_is_five_after_a_warm_up_of_twenty_epochs() -> None:
    _, review = ReviewKD().active_terms()
    assert (review.weight, review.warmup_epochs) == (5, 20)
