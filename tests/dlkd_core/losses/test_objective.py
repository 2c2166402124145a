"""A method's objective: every entry of the catalog builds and takes a step."""

import pytest
import torch

from dlkd_core.catalog import METHODS
from dlkd_core.catalog.methods import DLKD, KD, Combine, Plain
from dlkd_core.catalog.terms import Hinton, Labels
from dlkd_core.data.views import VIEWS
from dlkd_core.errors import SpecError
from dlkd_core.losses import build
from dlkd_core.outputs import Outputs
from tests.dlkd_core.losses.conftest import TEACHER_WIDTH, Make, example, setting, targets

TARGETS = targets(torch.tensor([0, 1, 0, 2]))


def learnable(outputs: Outputs) -> Outputs:
    """The same outputs, as parameters."""
    return Outputs(
        outputs.logits.requires_grad_(), outputs.features.requires_grad_(), tuple(m.requires_grad_() for m in outputs.maps)
    )


@pytest.mark.parametrize("name", METHODS)
def test_every_method_builds_for_unlike_networks_and_a_step_lowers_its_loss(make: Make, name: str) -> None:
    torch.manual_seed(0)
    method = example(name)
    views = VIEWS[method.views]
    objective = build(method, setting(views))
    student, teacher = learnable(make(4 * views)), make(4 * views, TEACHER_WIDTH, seed=1)
    learnt = [student.logits, student.features, *student.maps, *objective.parameters()]
    memory = {key: value.clone() for key, value in objective.named_buffers()}

    before, values = objective(student, teacher, TARGETS)
    before.backward()
    torch.nn.utils.clip_grad_norm_(learnt, 1.0)
    torch.optim.SGD(learnt, lr=1e-3).step()
    held = objective.state_dict()
    objective.load_state_dict({**held, **{key: memory[key] for key in memory.keys() & held.keys()}})
    after, _ = objective(student, teacher, TARGETS)

    assert after < before
    assert set(values) == {term.name for term in method.weighted()}
    assert not any(value.requires_grad for value in values.values())
    assert all(head.grad is not None and head.grad.isfinite().all() for head in objective.parameters())


def test_a_term_that_occurs_twice_is_numbered(make: Make) -> None:
    method = Combine(terms=(Labels(), Hinton(temperature=1.0, weight=2.0), Hinton(temperature=8.0)))
    total, values = build(method, setting(1))(make(4), make(4, TEACHER_WIDTH, seed=1), TARGETS)
    torch.testing.assert_close(total, values["labels"] + 2 * values["kd"] + values["kd_2"])


def test_a_weight_grows_evenly_over_the_epochs_of_its_warm_up(make: Make) -> None:
    objective = build(Combine(terms=(Hinton(warmup_epochs=4),)), setting(1))
    totals = [
        objective(make(4), make(4, TEACHER_WIDTH, seed=1), TARGETS._replace(epoch=epoch))[0].item() for epoch in (1, 2, 4, 9)
    ]
    assert totals == pytest.approx([totals[2] / 4, totals[2] / 2, totals[2], totals[2]])


def test_the_total_is_the_weighted_sum_of_the_terms(make: Make) -> None:
    objective = build(DLKD(labels=0.5, alignment=3.0, correlation=7.0), setting(4))
    total, values = objective(make(16), make(16, TEACHER_WIDTH, seed=1), TARGETS)
    torch.testing.assert_close(total.detach(), 0.5 * values["labels"] + 3 * values["alignment"] + 7 * values["correlation"])


def test_plain_training_needs_no_teacher(make: Make) -> None:
    objective = build(Plain(), setting(1, teacher=None))
    total, _ = objective(make(4), None, TARGETS)
    assert total.item() == pytest.approx(torch.nn.functional.cross_entropy(make(4).logits, TARGETS.labels).item())


def test_weights_that_are_all_zero_are_refused() -> None:
    with pytest.raises(SpecError, match="nothing would be learnt"):
        build(KD(labels=0, teacher=0), setting(1))
