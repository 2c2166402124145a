"""Activation boundaries."""

import pytest
import torch
from torch import nn

from dlkd_core.catalog.terms import Boundaries
from tests.dlkd_core.losses.conftest import STUDENT_WIDTH, TEACHER_WIDTH, Build, Make, targets

TARGETS = targets(torch.tensor([0, 1, 0, 2]))


@pytest.mark.parametrize(
    ("ours", "theirs", "cost"),
    [(1.5, 2.0, 0), (0.5, 2.0, 0.25), (-1.0, 0.1, 4), (-1.5, 0.0, 0), (-0.5, 0.0, 0.25), (1.0, -3.0, 4)],
)
def test_a_neuron_costs_what_it_lacks_to_the_margin_on_the_teachers_side(
    build: Build, ours: float, theirs: float, cost: float
) -> None:
    one, other = (torch.full((2, 3, 4, 4), value) for value in (ours, theirs))
    assert build(Boundaries(margin=1.0), views=1).between(one, other).item() == pytest.approx(cost * 3 * 4 * 4 * 0.003)


def test_each_block_counts_half_of_the_next_deeper_one(make: Make, build: Build) -> None:
    term = build(Boundaries(), views=1, teacher=STUDENT_WIDTH)
    term.connectors = nn.ModuleList(nn.Identity() for _ in term.connectors)
    ours, theirs = make(4), make(4, seed=1)
    alone = [term.between(one, other) for one, other in zip(ours.maps, theirs.maps, strict=True)]
    torch.testing.assert_close(term(ours, theirs, TARGETS), alone[0] / 4 + alone[1] / 2 + alone[2])


def test_unlike_blocks_are_taken_to_the_teachers_width(make: Make, build: Build) -> None:
    term, teacher = build(Boundaries(), views=1), make(4, TEACHER_WIDTH, seed=1)
    shown = [connect(ours) for connect, ours in zip(term.connectors, make(4).maps, strict=True)]
    assert [maps.shape[1] for maps in shown] == [maps.shape[1] for maps in teacher.maps[1:]]
    assert torch.equal(term(make(4), teacher, TARGETS), term(make(4), teacher, TARGETS))


def test_a_neuron_that_the_students_relu_has_cut_off_can_still_become_active(make: Make, build: Build) -> None:
    """Between blocks of one shape too: the boundary is drawn behind a convolution, whose output has a sign."""
    term, teacher = build(Boundaries(), views=1, teacher=STUDENT_WIDTH), make(4, seed=1)
    cut = [maps.relu() for maps in make(4).maps]
    for connect, ours, theirs in zip(term.connectors, cut, teacher.maps, strict=True):
        shown = connect(ours)
        assert shown.shape == theirs.shape
        assert (shown < 0).any()
