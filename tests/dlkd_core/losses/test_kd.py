"""Softened logits."""

import pytest
import torch

from dlkd_core.catalog.terms import Hinton
from dlkd_core.errors import ClassesDoNotFit
from tests.dlkd_core.losses.conftest import Build, Make, targets

TARGETS = targets(torch.zeros(2, dtype=torch.int64))


def test_logits_that_differ_by_a_constant_cost_nothing(make: Make, build: Build) -> None:
    teacher = make(8)
    student = teacher._replace(logits=teacher.logits + 5)
    assert build(Hinton())(student, teacher, TARGETS).item() == pytest.approx(0, abs=1e-6)


def test_the_gradient_draws_the_student_to_the_teacher(make: Make, build: Build) -> None:
    student, teacher, term = make(8, seed=1), make(8, seed=2), build(Hinton(temperature=2.0))
    student.logits.requires_grad_()
    before = term(student, teacher, TARGETS)
    before.backward()
    after = term(student._replace(logits=(student.logits - student.logits.grad).detach()), teacher, TARGETS)
    assert 0 < after < before


def test_other_numbers_of_classes_are_an_error_that_names_both(build: Build) -> None:
    with pytest.raises(ClassesDoNotFit, match="teacher gives 1000 logits and the student 10"):
        build(Hinton(), classes=1000)
