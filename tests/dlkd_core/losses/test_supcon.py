"""Supervised contrast between teacher and student."""

import pytest
import torch

from dlkd_core.catalog.terms import SupervisedContrast
from tests.dlkd_core.losses.conftest import TEACHER_WIDTH, Build, Make, targets

TARGETS = targets(torch.tensor([0, 1, 0]))


def test_the_order_of_the_images_does_not_matter(make: Make, build: Build) -> None:
    term, student, teacher = build(SupervisedContrast()), make(12), make(12, TEACHER_WIDTH, seed=1)
    order = torch.tensor([2, 0, 1])
    rows = (4 * order[:, None] + torch.arange(4)).flatten()
    turned, taught = (outputs._replace(features=outputs.features[rows]) for outputs in (student, teacher))
    torch.testing.assert_close(term(turned, taught, targets(TARGETS.labels[order])), term(student, teacher, TARGETS))


def test_classes_that_lie_apart_cost_less_than_classes_that_are_mixed(make: Make, build: Build) -> None:
    student, teacher = make(12), make(12, TEACHER_WIDTH, seed=1)
    each = TARGETS.labels.repeat_interleave(4)
    apart = student._replace(features=student.features * 0.1 + 5 * torch.eye(12)[each])
    term = build(SupervisedContrast())
    assert term(apart, teacher, TARGETS) < term(apart, teacher, targets(torch.tensor([0, 0, 1])))


def test_the_gradient_reaches_both_embeddings(make: Make, build: Build) -> None:
    term = build(SupervisedContrast())
    term(make(12), make(12, TEACHER_WIDTH, seed=1), TARGETS).backward()
    assert all(e.weight.grad is not None and e.weight.grad.any() for e in (term.embed_student, term.embed_teacher))


def test_an_image_alone_in_its_class_costs_a_finite_amount(make: Make, build: Build) -> None:
    term = build(SupervisedContrast(), views=1)
    assert term(make(3), make(3, TEACHER_WIDTH, seed=1), targets(torch.tensor([0, 1, 2]))).isfinite()


def test_labels_of_another_batch_are_an_error(make: Make, build: Build) -> None:
    with pytest.raises(ValueError, match="labels for 3 images of 4 views"):
        build(SupervisedContrast())(make(12), make(12, TEACHER_WIDTH), targets(TARGETS.labels[:2]))
