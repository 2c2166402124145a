"""Relations between and within classes."""

import pytest
import torch

from dlkd_core.catalog.terms import Relations
from tests.dlkd_core.losses.conftest import STUDENT_WIDTH, Build, Make, targets

TARGETS = targets(torch.tensor([0, 1, 0, 2]))


def test_shifting_and_stretching_the_probabilities_within_a_class_costs_nothing(make: Make, build: Build) -> None:
    term = build(Relations(beta=0.0, temperature=1.0), views=1, teacher=STUDENT_WIDTH)
    teacher = make(4)
    halfway = teacher.logits.softmax(dim=1) / 2 + 0.05  # rows still sum to 1
    assert term(teacher._replace(logits=halfway.log()), teacher, TARGETS).item() == pytest.approx(0, abs=1e-5)


def test_a_class_that_no_image_tells_from_the_others_is_no_agreement_and_no_error(make: Make, build: Build) -> None:
    """Next to no variance counts for nothing, as published, where a quotient of tiny numbers could be anything."""
    term = build(Relations(beta=0.0, temperature=1.0), views=1, teacher=STUDENT_WIDTH)
    flat = make(4)._replace(logits=1e-7 * make(4).logits)
    flat.logits.requires_grad_()
    loss = term(flat, flat._replace(logits=flat.logits.detach()), TARGETS)
    loss.backward()
    assert loss.item() == pytest.approx(1, abs=1e-3)
    assert flat.logits.grad is not None
    assert flat.logits.grad.isfinite().all()
