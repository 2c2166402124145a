"""A method's objective: every entry of the catalog builds and takes a step."""

import pytest
import torch

from dlkd_core.catalog import METHODS
from dlkd_core.catalog.methods import DLKD, KD, Plain
from dlkd_core.errors import SpecError
from dlkd_core.losses import build
from dlkd_core.losses.term import Setting
from dlkd_core.outputs import Outputs, Shapes
from tests.dlkd_core.losses.conftest import CLASSES, STUDENT_WIDTH, TEACHER_WIDTH, Make

STUDENT, TEACHER = Shapes(CLASSES, STUDENT_WIDTH, ()), Shapes(CLASSES, TEACHER_WIDTH, ())
LABELS = torch.tensor([0, 1, 0, 2])


@pytest.mark.parametrize("name", METHODS)
def test_every_method_builds_and_a_step_lowers_its_loss(make: Make, name: str) -> None:
    torch.manual_seed(0)
    method = METHODS[name]()
    views = 4 if method.views == "rotation4" else 1
    objective = build(method, Setting(STUDENT, TEACHER, CLASSES, views, images=64))
    student, teacher = make(4 * views), make(4 * views, TEACHER_WIDTH, seed=1)
    student = Outputs(student.logits.requires_grad_(), student.features.requires_grad_(), ())
    optimizer = torch.optim.SGD([student.logits, student.features, *objective.parameters()], lr=1e-2)

    before, values = objective(student, teacher, LABELS)
    before.backward()
    optimizer.step()
    after, _ = objective(student, teacher, LABELS)

    assert after < before
    assert set(values) == {term.name for _, term in method.terms()}
    assert not any(value.requires_grad for value in values.values())


def test_the_total_is_the_weighted_sum_of_the_terms(make: Make) -> None:
    objective = build(DLKD(labels=0.5, alignment=3.0, correlation=7.0), Setting(STUDENT, TEACHER, CLASSES, 4, images=64))
    total, values = objective(make(16), make(16, TEACHER_WIDTH, seed=1), LABELS)
    torch.testing.assert_close(total.detach(), 0.5 * values["labels"] + 3 * values["alignment"] + 7 * values["correlation"])


def test_plain_training_needs_no_teacher(make: Make) -> None:
    objective = build(Plain(), Setting(STUDENT, None, CLASSES, 1, images=64))
    total, _ = objective(make(4), None, LABELS)
    assert total.item() == pytest.approx(torch.nn.functional.cross_entropy(make(4).logits, LABELS).item())


def test_weights_that_are_all_zero_are_refused() -> None:
    with pytest.raises(SpecError, match="nothing would be learnt"):
        build(KD(labels=0, teacher=0), Setting(STUDENT, TEACHER, CLASSES, 1, images=64))
