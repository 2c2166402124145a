"""Knowledge review: fusion from deep to shallow, comparison at several sizes."""

import pytest
import torch
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from dlkd_core.catalog.comparisons import ReviewKD
from dlkd_core.catalog.terms import Review
from dlkd_core.losses.reviewkd import context_loss
from dlkd_core.outputs import Outputs
from tests.dlkd_core.losses.conftest import TEACHER_WIDTH, Build, Make, targets

TARGETS = targets(torch.tensor([0, 1, 0, 2]))


@pytest.mark.parametrize(("size", "pooled"), [(8, (4, 2, 1)), (4, (2, 1)), (2, (1,)), (1, ())])
def test_maps_are_compared_whole_and_pooled_to_the_sizes_below_their_own(make: Make, size: int, pooled: tuple[int, ...]) -> None:
    ours, theirs = (interpolate(make(4, seed=seed).maps[0], size) for seed in (0, 1))
    difference = ours - theirs
    shares = [1 / 2**place for place in range(len(pooled) + 1)]
    errors = [difference.square().mean(), *(adaptive_avg_pool2d(difference, side).square().mean() for side in pooled)]
    expected = sum(share * error.item() for share, error in zip(shares, errors, strict=True)) / sum(shares)
    assert context_loss(ours, theirs).item() == pytest.approx(expected, rel=1e-5)


def test_a_shallow_stage_sees_the_deeper_ones_and_not_the_other_way_round(make: Make, build: Build) -> None:
    term, student, teacher = build(Review(), views=1), make(4), make(4, TEACHER_WIDTH, seed=1)
    sizes = [(1, 1), *(m.shape[2:] for m in reversed(teacher.maps[1:]))]

    def shown(outputs: Outputs) -> list[torch.Tensor]:
        stages = [outputs.features[:, :, None, None], *reversed(outputs.maps)]
        made, deeper = [], None
        for fusion, stage, size in zip(term.fusions, stages, sizes, strict=True):
            one, deeper = fusion(stage, deeper, size)
            made.append(one)
        return made

    first = shown(student)
    assert [tuple(one.shape[1:]) for one in first] == [(TEACHER_WIDTH, 1, 1), (11, 3, 3), (9, 7, 7), (7, 8, 8)]
    other_features = shown(student._replace(features=make(4, seed=9).features))
    assert not any(torch.equal(a, b) for a, b in zip(first, other_features, strict=True))
    other_shallow = shown(student._replace(maps=(make(4, seed=9).maps[0], *student.maps[1:])))
    assert [torch.equal(a, b) for a, b in zip(first, other_shallow, strict=True)] == [True, True, True, False]


def test_the_weight_is_five_after_twenty_epochs_of_warm_up() -> None:
    _, review = ReviewKD().weighted()
    assert (review.weight, review.warmup_epochs) == (5, 20)
