"""Tests for the feature queue, and for SEED and CompRess, which use the queue."""

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from dlkd_core.catalog.loss_params import CompRessParams, SEEDParams
from dlkd_core.catalog.methods import DLKD
from dlkd_core.catalog.methods.published_methods import SEED, CompRess
from dlkd_core.data.augmentation.views import VIEW_COUNTS
from dlkd_core.losses import build_objective
from dlkd_core.losses.feature_queue import FeatureQueue
from tests.dlkd_core.losses.conftest import (
    IMAGES,
    STUDENT_WIDTH,
    TEACHER_WIDTH,
    BuildLoss,
    MakeOutputs,
    make_context,
    make_targets,
)

TARGETS = make_targets(torch.tensor([0, 1, 0, 2]))


def unit_rows(count: int, seed: int = 0) -> torch.Tensor:
    return normalize(torch.randn(count, 3, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_a_queue_keeps_the_last_rows_and_drops_the_oldest() -> None:
    queue = FeatureQueue(5, 3)
    torch.testing.assert_close(queue.rows.norm(dim=1), torch.ones(5))
    first, second = unit_rows(3), unit_rows(3, 1)
    queue.add(first)
    queue.add(second)
    expected = torch.stack([second[2], first[1], first[2], second[0], second[1]])
    assert torch.equal(queue.rows, expected)
    many = unit_rows(7, 2)
    queue.add(many)
    assert {tuple(row) for row in queue.rows.tolist()} == {tuple(row) for row in many[2:].tolist()}


def test_a_queue_resumes_from_a_checkpoint() -> None:
    queue, resumed = FeatureQueue(5, 3), FeatureQueue(5, 3)
    queue.add(unit_rows(3))
    resumed.load_state_dict(queue.state_dict())
    queue.add(unit_rows(4, 1))
    resumed.add(unit_rows(4, 1))
    assert torch.equal(queue.rows, resumed.rows)


def test_seed_is_the_cross_entropy_over_the_images_own_embedding_and_the_queue(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    loss = build_loss(
        SEEDParams(queue=6, student_temperature=0.2, teacher_temperature=0.1), views=1
    )
    loss.head = nn.Identity()
    student, teacher = make_outputs(4, TEACHER_WIDTH), make_outputs(4, TEACHER_WIDTH, seed=1)
    keys = loss.queue.rows.clone()
    expected = 0.0
    for f_s, f_t in zip(student.features, teacher.features, strict=True):
        e_s, e_t = f_s / f_s.norm(), f_t / f_t.norm()
        all_keys = torch.stack([e_t, *keys])
        p, q = (all_keys @ e_t / 0.1).softmax(dim=0), (all_keys @ e_s / 0.2).softmax(dim=0)
        expected -= (p * q.log()).sum().item() / 4
    assert loss(student, teacher, TARGETS).item() == pytest.approx(expected, rel=1e-4)
    torch.testing.assert_close(loss.queue.rows[:4], normalize(teacher.features, dim=1))


@pytest.mark.parametrize("queues", [1, 2])
def test_compress_is_the_divergence_over_the_queues(
    make_outputs: MakeOutputs, build_loss: BuildLoss, queues: int
) -> None:
    loss = build_loss(CompRessParams(queue=6, queues=queues, temperature=0.1), views=1)
    student, teacher = make_outputs(4), make_outputs(4, TEACHER_WIDTH, seed=1)
    student_rows, teacher_rows = loss.head(student.features), teacher.features
    keys, own_keys = loss.queue.rows.clone(), (loss.own or loss.queue).rows.clone()
    assert own_keys.shape[1] == (STUDENT_WIDTH if queues == 2 else TEACHER_WIDTH)
    expected = 0.0
    for f_s, f_t in zip(student_rows, teacher_rows, strict=True):
        p = (keys @ f_t / f_t.norm() / 0.1).softmax(dim=0)
        q = (own_keys @ f_s / f_s.norm() / 0.1).softmax(dim=0)
        expected += (p * (p / q).log()).sum().item() / 4
    assert loss(student, teacher, TARGETS).item() == pytest.approx(expected, rel=1e-4)
    torch.testing.assert_close(loss.queue.rows[:4], normalize(teacher_rows, dim=1))
    if queues == 2:
        torch.testing.assert_close(loss.own.rows[:4], normalize(student_rows, dim=1))
        assert not loss.own.rows.requires_grad


@pytest.mark.parametrize("params", [SEEDParams(), CompRessParams()], ids=lambda params: params.name)
def test_a_queue_is_not_longer_than_the_training_split(
    build_loss: BuildLoss, params: SEEDParams | CompRessParams
) -> None:
    assert len(build_loss(params).queue.rows) == IMAGES
    assert len(build_loss(params.model_copy(update={"queue": 7})).queue.rows) == 7


def test_all_views_get_a_gradient_and_the_first_ones_are_queued(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    loss, teacher = build_loss(SEEDParams(queue=8), views=2), make_outputs(8, TEACHER_WIDTH, seed=1)
    student = make_outputs(8)
    student.features.requires_grad_()
    loss(student, teacher, TARGETS).backward()
    assert student.features.grad is not None
    assert student.features.grad.any(dim=1).all()
    torch.testing.assert_close(loss.queue.rows[:4], normalize(teacher.features[::2], dim=1))


@pytest.mark.parametrize(
    "method",
    [SEED(), CompRess(), DLKD(labels=0), DLKD(labels=0, views="moco")],
    ids=["seed", "compress", "rotations", "crops"],
)
def test_methods_without_labels_ignore_labels_and_teacher_logits(
    make_outputs: MakeOutputs, method: SEED | CompRess | DLKD
) -> None:
    views = VIEW_COUNTS[method.views]
    torch.manual_seed(0)
    objective = build_objective(method, make_context(views, classes=1000))
    assert "labels" not in objective.terms
    student, teacher = make_outputs(4 * views), make_outputs(4 * views, TEACHER_WIDTH, seed=1)
    state = {key: value.clone() for key, value in objective.state_dict().items()}
    total, _ = objective(student, teacher, TARGETS)
    objective.load_state_dict(state)
    without_logits = teacher._replace(logits=torch.full((4 * views, 1000), float("nan")))
    again, _ = objective(student, without_logits, make_targets(torch.tensor([3, 3, 3, 3])))
    assert torch.equal(total, again)


def test_the_published_settings_are_the_defaults() -> None:
    (seed,), (compress,) = SEED().active_terms(), CompRess().active_terms()
    assert seed == SEEDParams(student_temperature=0.2, teacher_temperature=0.01, queue=65_536)
    assert compress == CompRessParams(temperature=0.04, queues=2, queue=128_000)
