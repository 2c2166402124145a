"""Softmax regression on the teacher's classifier."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from dlkd_core.catalog.terms import SoftmaxRegression
from dlkd_core.errors import SpecError
from dlkd_core.losses.srrl import SoftmaxRegression as Term
from dlkd_core.outputs import Shapes
from tests.dlkd_core.losses.conftest import STUDENT_WIDTH, TEACHER_WIDTH, Build, Make, classify, setting, targets

TARGETS = targets(torch.tensor([0, 1, 0, 2]))


def test_features_like_the_teachers_cost_nothing_and_others_their_error_in_features_and_logits(make: Make, build: Build) -> None:
    term, teacher = build(SoftmaxRegression(regression=3.0), views=1), make(4, TEACHER_WIDTH, seed=1)
    teacher = teacher._replace(features=teacher.features.abs(), logits=classify(teacher.features.abs()))
    term.connector = nn.Identity()
    as_good = make(4)._replace(features=teacher.features)
    assert term(as_good, teacher, TARGETS).item() == pytest.approx(0, abs=1e-10)
    off = as_good._replace(features=teacher.features + 1)  # two features to a class: its logits are off by two
    assert term(off, teacher, TARGETS).item() == pytest.approx(1 + 3 * 4, rel=1e-5)


def test_the_last_map_is_taken_where_its_mean_is_the_features_and_the_features_where_not(make: Make) -> None:
    pooled = replace(setting(1), student=Shapes(10, 8, ((8, 2, 2),)))
    assert Term(SoftmaxRegression(), pooled).of_map
    term = Term(SoftmaxRegression(), setting(1))
    assert not term.of_map
    other_maps = make(4)._replace(maps=make(4, seed=7).maps)
    teacher = make(4, TEACHER_WIDTH, seed=1)
    assert term(other_maps, teacher, TARGETS) == term(make(4), teacher, TARGETS)


def test_the_teachers_classifier_stays_as_it_is(make: Make) -> None:
    layer = nn.Linear(TEACHER_WIDTH, 10).requires_grad_(requires_grad=False)
    term = Term(SoftmaxRegression(), replace(setting(1), classify=layer))
    assert not any(parameter is weight for parameter in term.parameters() for weight in layer.parameters())
    assert {key.partition(".")[0] for key in term.state_dict()} == {"connector"}
    student = make(4)
    student.features.requires_grad_()
    term(student, make(4, TEACHER_WIDTH, seed=1), TARGETS).backward()
    assert student.features.grad is not None
    assert student.features.grad.shape == (4, STUDENT_WIDTH)
    assert layer.weight.grad is None


def test_a_teacher_without_a_classifier_of_its_own_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(SpecError, match="own linear classifier") as caught:
        Term(SoftmaxRegression(), replace(setting(1), classify=None))
    assert "catalog" in caught.value.hint
