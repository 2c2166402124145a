"""Self-supervision over the views of an image."""

import pytest
import torch
from torch import nn

from dlkd_core.catalog.comparisons import SSKD
from dlkd_core.catalog.terms import Correlation, Hinton, RotatedLogits, SelfSupervision, Term
from dlkd_core.errors import ClassesDoNotFit, SpecError
from dlkd_core.losses.sskd import well_ranked
from tests.dlkd_core.losses.conftest import TEACHER_WIDTH, Build, Make, targets

TARGETS = targets(torch.tensor([0, 1, 0, 2]))


def test_the_logits_of_each_view_count_once_the_first_in_one_term_and_the_others_in_the_other(make: Make, build: Build) -> None:
    student, teacher = make(16), make(16, TEACHER_WIDTH, seed=1)
    every_row = build(Hinton(temperature=4.0), views=1)(student, teacher, TARGETS)
    first, others = (build(params)(student, teacher, TARGETS) for params in (Hinton(temperature=4.0), RotatedLogits()))
    torch.testing.assert_close((first + 3 * others) / 4, every_row)


def test_with_all_rows_kept_it_is_the_correlation_of_dlkd_times_the_squared_temperature(make: Make, build: Build) -> None:
    student, teacher = make(16), make(16, TEACHER_WIDTH, seed=1)
    term, correlation = build(SelfSupervision(keep=1.0)), build(Correlation(temperature=0.5))
    term.head = correlation.head = nn.Identity()
    torch.testing.assert_close(term(student, teacher, TARGETS), 0.25 * correlation(student, teacher, TARGETS))


def test_of_the_rows_that_the_teacher_gets_wrong_the_best_ranked_share_is_kept() -> None:
    """Five images of three other views each; the teacher is wrong in four of the first six rows."""
    cosines = torch.eye(5).repeat_interleave(3, dim=0)
    for row, rank in enumerate([0, 3, 1, 2, 0, 1]):  # so many images before the own one
        others = [column for column in range(5) if column != row // 3]
        cosines[row, others[:rank]] = 2.0
    right = [True] * 9
    assert well_ranked(cosines, 1.0).all()
    assert well_ranked(cosines, 0.75).tolist() == [True, False, True, True, True, True, *right]
    assert well_ranked(cosines, 0.5).tolist() == [True, False, True, False, True, True, *right]
    assert well_ranked(cosines, 0.0).tolist() == [True, False, False, False, True, False, *right]


def test_rows_that_are_left_out_teach_nothing(make: Make, build: Build) -> None:
    term, student, teacher = build(SelfSupervision(keep=0.5)), make(16), make(16, TEACHER_WIDTH, seed=1)
    units = torch.nn.functional.normalize(teacher.features, dim=1).view(4, 4, -1)
    kept = well_ranked(units[:, 1:].flatten(0, 1) @ units[:, 0].T, 0.5)
    assert 0 < kept.sum() < 12
    student.features.requires_grad_()
    term(student, teacher, TARGETS).backward()
    assert student.features.grad is not None
    taught = student.features.grad.view(4, 4, -1)[:, 1:].flatten(0, 1).any(dim=1)
    assert torch.equal(taught, kept)


def test_the_weights_are_the_published_ones() -> None:
    method = SSKD()
    assert method.views == "rotation4"
    assert {term.name: term.weight for term in method.weighted()} == {"labels": 0.1, "kd": 0.9, "sskd_logits": 2.7, "sskd": 10}


@pytest.mark.parametrize("params", [RotatedLogits(), SelfSupervision()], ids=lambda params: params.name)
def test_one_view_is_an_error_that_says_what_to_do(build: Build, params: Term) -> None:
    with pytest.raises(SpecError, match="there is one") as caught:
        build(params, views=1)
    assert "rotation4" in caught.value.hint


def test_logits_of_other_classes_are_an_error(build: Build) -> None:
    with pytest.raises(ClassesDoNotFit):
        build(RotatedLogits(), classes=1000)
