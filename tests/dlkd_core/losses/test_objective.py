"""Tests for the objectives of all methods in the catalog. Each is optimized for one step."""

import pytest
import torch

from dlkd_core.catalog import METHODS
from dlkd_core.catalog.loss_params import CrossEntropyParams, KDParams
from dlkd_core.catalog.methods import DLKD, KD, Combine, Plain
from dlkd_core.data.augmentation.views import VIEW_COUNTS
from dlkd_core.errors import SpecError
from dlkd_core.losses import build_objective
from dlkd_core.network_outputs import Outputs
from tests.dlkd_core.losses.conftest import (
    TEACHER_WIDTH,
    MakeOutputs,
    example_method,
    make_context,
    make_targets,
)

TARGETS = make_targets(torch.tensor([0, 1, 0, 2]))


def learnable(outputs: Outputs) -> Outputs:
    """Return the same outputs, with gradients enabled."""
    return Outputs(
        outputs.logits.requires_grad_(),
        outputs.features.requires_grad_(),
        tuple(maps.requires_grad_() for maps in outputs.feature_maps),
    )


@pytest.mark.parametrize("name", METHODS)
def test_a_step_of_every_method_lowers_its_loss(make_outputs: MakeOutputs, name: str) -> None:
    torch.manual_seed(0)
    method = example_method(name)
    views = VIEW_COUNTS[method.views]
    objective = build_objective(method, make_context(views))
    student = learnable(make_outputs(4 * views))
    teacher = make_outputs(4 * views, TEACHER_WIDTH, seed=1)
    trainable = [student.logits, student.features, *student.feature_maps, *objective.parameters()]
    buffers = {key: value.clone() for key, value in objective.named_buffers()}

    before, values = objective(student, teacher, TARGETS)
    before.backward()
    torch.nn.utils.clip_grad_norm_(trainable, 1.0)
    torch.optim.SGD(trainable, lr=1e-3).step()
    state = objective.state_dict()
    restored = {key: buffers[key] for key in buffers.keys() & state.keys()}
    objective.load_state_dict({**state, **restored})
    after, _ = objective(student, teacher, TARGETS)

    assert after < before
    assert set(values) == {term.name for term in method.active_terms()}
    assert not any(value.requires_grad for value in values.values())
    assert all(
        head.grad is not None and head.grad.isfinite().all() for head in objective.parameters()
    )


def test_a_term_that_occurs_twice_is_numbered(make_outputs: MakeOutputs) -> None:
    method = Combine(
        terms=(
            CrossEntropyParams(),
            KDParams(temperature=1.0, weight=2.0),
            KDParams(temperature=8.0),
        )
    )
    total, values = build_objective(method, make_context(1))(
        make_outputs(4), make_outputs(4, TEACHER_WIDTH, seed=1), TARGETS
    )
    torch.testing.assert_close(total, values["labels"] + 2 * values["kd"] + values["kd_2"])


def test_a_weight_grows_linearly_during_its_warm_up(make_outputs: MakeOutputs) -> None:
    objective = build_objective(Combine(terms=(KDParams(warmup_epochs=4),)), make_context(1))
    totals = [
        objective(
            make_outputs(4), make_outputs(4, TEACHER_WIDTH, seed=1), TARGETS._replace(epoch=epoch)
        )[0].item()
        for epoch in (1, 2, 4, 9)
    ]
    assert totals == pytest.approx([totals[2] / 4, totals[2] / 2, totals[2], totals[2]])


def test_the_total_is_the_weighted_sum_of_the_terms(make_outputs: MakeOutputs) -> None:
    objective = build_objective(DLKD(labels=0.5, alignment=3.0, correlation=7.0), make_context(4))
    total, values = objective(make_outputs(16), make_outputs(16, TEACHER_WIDTH, seed=1), TARGETS)
    torch.testing.assert_close(
        total.detach(), 0.5 * values["labels"] + 3 * values["alignment"] + 7 * values["correlation"]
    )


def test_plain_training_needs_no_teacher(make_outputs: MakeOutputs) -> None:
    objective = build_objective(Plain(), make_context(1, teacher=None))
    total, _ = objective(make_outputs(4), None, TARGETS)
    assert total.item() == pytest.approx(
        torch.nn.functional.cross_entropy(make_outputs(4).logits, TARGETS.labels).item()
    )


def test_a_method_with_only_zero_weights_is_an_error() -> None:
    with pytest.raises(SpecError, match="nothing would be learned"):
        build_objective(KD(labels=0, teacher=0), make_context(1))
