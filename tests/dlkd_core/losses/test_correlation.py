"""Knowledge correlation."""

import pytest
import torch
from torch import nn

from dlkd_core.catalog.terms import Correlation
from tests.dlkd_core.losses.conftest import STUDENT_WIDTH, TEACHER_WIDTH, Build, Make, targets

TARGETS = targets(torch.zeros(4, dtype=torch.int64))


@pytest.mark.parametrize("views", [1, 4])
def test_the_teachers_features_turned_and_scaled_cost_nothing(make: Make, build: Build, views: int) -> None:
    term, teacher = build(Correlation(), views=views), make(4 * views)
    term.head = nn.Identity()
    turn, _ = torch.linalg.qr(make(STUDENT_WIDTH, seed=3).features)
    student = teacher._replace(features=5 * teacher.features @ turn)
    assert term(student, teacher, TARGETS).item() == pytest.approx(0, abs=1e-6)
    assert term(make(4 * views, seed=4), teacher, TARGETS) > 1e-3


@pytest.mark.parametrize("views", [1, 4])
def test_the_gradient_reaches_the_head(make: Make, build: Build, views: int) -> None:
    term = build(Correlation(), views=views)
    term(make(4 * views), make(4 * views, TEACHER_WIDTH, seed=1), TARGETS).backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in (term.head[0].weight, term.head[3].weight))


def test_with_one_view_a_row_does_not_meet_itself(make: Make, build: Build) -> None:
    """Two rows are then each other's only key: there is nothing to tell apart, whatever the features."""
    term = build(Correlation(), views=1)
    assert term(make(2), make(2, TEACHER_WIDTH, seed=1), targets(TARGETS.labels[:2])).item() == 0


def test_with_one_view_the_loss_is_the_sum_written_out(make: Make, build: Build) -> None:
    term, student, teacher = build(Correlation(temperature=0.5), views=1), make(4), make(4, TEACHER_WIDTH, seed=1)
    term.head = nn.Identity()
    expected = 0.0
    for i in range(4):
        keys = [j for j in range(4) if j != i]
        p, q = (
            torch.stack([torch.cosine_similarity(rows[i], rows[j], dim=0) for j in keys]).div(0.5).softmax(dim=0)
            for rows in (teacher.features, student.features)
        )
        expected += (p * (p / q).log()).sum().item() / 4
    assert term(student, teacher, TARGETS).item() == pytest.approx(expected, rel=1e-4)


def test_rows_that_are_no_whole_images_are_an_error(make: Make, build: Build) -> None:
    with pytest.raises(ValueError, match="6 rows are not a whole number of images of 4 views"):
        build(Correlation())(make(6), make(6, TEACHER_WIDTH), TARGETS)


def test_with_two_crops_the_second_ones_ask_and_the_first_ones_answer(make: Make, build: Build) -> None:
    term, student, teacher = build(Correlation(temperature=0.5), views=2), make(8), make(8, TEACHER_WIDTH, seed=1)
    term.head = nn.Identity()
    expected = 0.0
    for query in range(1, 8, 2):
        p, q = (
            torch.stack([torch.cosine_similarity(rows[query], rows[key], dim=0) for key in range(0, 8, 2)])
            .div(0.5)
            .softmax(dim=0)
            for rows in (teacher.features, student.features)
        )
        expected += (p * (p / q).log()).sum().item() / 4
    assert term(student, teacher, TARGETS).item() == pytest.approx(expected, rel=1e-4)
