"""Knowledge alignment."""

import pytest
import torch
from torch import nn

from dlkd_core.catalog.terms import Alignment
from tests.dlkd_core.losses.conftest import STUDENT_WIDTH, TEACHER_WIDTH, Build, Make, targets

TARGETS = targets(torch.zeros(2, dtype=torch.int64))


def test_the_teachers_features_at_any_length_cost_nothing_and_their_opposite_four(make: Make, build: Build) -> None:
    term, teacher = build(Alignment(), teacher=STUDENT_WIDTH), make(8)
    term.head = nn.Identity()
    assert term(teacher._replace(features=7 * teacher.features), teacher, TARGETS).item() == pytest.approx(0, abs=1e-6)
    assert term(teacher._replace(features=-teacher.features), teacher, TARGETS).item() == pytest.approx(4)


def test_the_gradient_reaches_the_head_and_every_view_of_the_student(make: Make, build: Build) -> None:
    term, student = build(Alignment()), make(8)
    student.features.requires_grad_()
    term(student, make(8, TEACHER_WIDTH), TARGETS).backward()
    assert student.features.grad is not None
    assert (student.features.grad.abs().sum(dim=1) > 0).all()
    assert all(weight.grad is not None and weight.grad.any() for weight in (term.head[0].weight, term.head[3].weight))


def test_a_run_without_a_teacher_is_an_error(build: Build) -> None:
    with pytest.raises(ValueError, match="the run has none"):
        build(Alignment(), teacher=None)
