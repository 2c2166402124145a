"""Terms for teachers without labels: similarities to queues of earlier images."""

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from dlkd_core.catalog.comparisons import SEED, CompRess
from dlkd_core.catalog.methods import DLKD
from dlkd_core.catalog.terms import Compression, Instances
from dlkd_core.losses import build as build_objective
from dlkd_core.losses.queues import Queue
from tests.dlkd_core.losses.conftest import IMAGES, STUDENT_WIDTH, TEACHER_WIDTH, Build, Make, setting, targets

TARGETS = targets(torch.tensor([0, 1, 0, 2]))


def units(count: int, seed: int = 0) -> torch.Tensor:
    return normalize(torch.randn(count, 3, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_a_queue_holds_the_last_rows_and_lets_the_oldest_go() -> None:
    queue = Queue(5, 3)
    torch.testing.assert_close(queue.rows.norm(dim=1), torch.ones(5))
    first, second = units(3), units(3, 1)
    queue.add(first)
    queue.add(second)
    assert torch.equal(queue.rows, torch.stack([second[2], first[1], first[2], second[0], second[1]]))
    many = units(7, 2)
    queue.add(many)
    assert {tuple(row) for row in queue.rows.tolist()} == {tuple(row) for row in many[2:].tolist()}


def test_a_queue_goes_on_where_a_checkpoint_left_it() -> None:
    queue, again = Queue(5, 3), Queue(5, 3)
    queue.add(units(3))
    again.load_state_dict(queue.state_dict())
    for one in (queue, again):
        one.add(units(4, 1))
    assert torch.equal(queue.rows, again.rows)


def test_instances_are_the_cross_entropy_over_the_own_embedding_and_the_queue_written_out(make: Make, build: Build) -> None:
    term = build(Instances(queue=6, student_temperature=0.2, teacher_temperature=0.1), views=1)
    term.head = nn.Identity()
    student, teacher = make(4, TEACHER_WIDTH), make(4, TEACHER_WIDTH, seed=1)
    keys = term.queue.rows.clone()
    expected = 0.0
    for f_s, f_t in zip(student.features, teacher.features, strict=True):
        e_s, e_t = f_s / f_s.norm(), f_t / f_t.norm()
        all_keys = torch.stack([e_t, *keys])
        p, q = (all_keys @ e_t / 0.1).softmax(dim=0), (all_keys @ e_s / 0.2).softmax(dim=0)
        expected -= (p * q.log()).sum().item() / 4
    assert term(student, teacher, TARGETS).item() == pytest.approx(expected, rel=1e-4)
    torch.testing.assert_close(term.queue.rows[:4], normalize(teacher.features, dim=1))


@pytest.mark.parametrize("queues", [1, 2])
def test_compression_is_the_divergence_over_the_queues_written_out(make: Make, build: Build, queues: int) -> None:
    term = build(Compression(queue=6, queues=queues, temperature=0.1), views=1)
    student, teacher = make(4), make(4, TEACHER_WIDTH, seed=1)
    ours, theirs = term.head(student.features), teacher.features
    keys, own = term.queue.rows.clone(), (term.own or term.queue).rows.clone()
    assert own.shape[1] == (STUDENT_WIDTH if queues == 2 else TEACHER_WIDTH)
    expected = 0.0
    for f_s, f_t in zip(ours, theirs, strict=True):
        p, q = (keys @ f_t / f_t.norm() / 0.1).softmax(dim=0), (own @ f_s / f_s.norm() / 0.1).softmax(dim=0)
        expected += (p * (p / q).log()).sum().item() / 4
    assert term(student, teacher, TARGETS).item() == pytest.approx(expected, rel=1e-4)
    torch.testing.assert_close(term.queue.rows[:4], normalize(theirs, dim=1))
    if queues == 2:
        torch.testing.assert_close(term.own.rows[:4], normalize(ours, dim=1))
        assert not term.own.rows.requires_grad


@pytest.mark.parametrize("params", [Instances(), Compression()], ids=lambda params: params.name)
def test_a_queue_is_no_longer_than_the_training_split(build: Build, params: Instances | Compression) -> None:
    assert len(build(params).queue.rows) == IMAGES
    assert len(build(params.model_copy(update={"queue": 7})).queue.rows) == 7


def test_of_several_views_all_are_taught_and_the_first_is_remembered(make: Make, build: Build) -> None:
    term, teacher = build(Instances(queue=8), views=2), make(8, TEACHER_WIDTH, seed=1)
    student = make(8)
    student.features.requires_grad_()
    term(student, teacher, TARGETS).backward()
    assert student.features.grad is not None
    assert student.features.grad.any(dim=1).all()
    torch.testing.assert_close(term.queue.rows[:4], normalize(teacher.features[::2], dim=1))


@pytest.mark.parametrize(
    "method", [SEED(), CompRess(), DLKD(labels=0), DLKD(labels=0, views="moco")], ids=["seed", "compress", "rotations", "crops"]
)
def test_without_labels_neither_the_labels_nor_the_teachers_logits_matter(make: Make, method: SEED | CompRess | DLKD) -> None:
    views = {"single": 1, "moco": 2, "rotation4": 4}[method.views]
    torch.manual_seed(0)
    objective = build_objective(method, setting(views, classes=1000))
    assert "labels" not in objective.terms
    student, teacher = make(4 * views), make(4 * views, TEACHER_WIDTH, seed=1)
    state = {key: value.clone() for key, value in objective.state_dict().items()}
    total, _ = objective(student, teacher, TARGETS)
    objective.load_state_dict(state)
    blind = teacher._replace(logits=torch.full((4 * views, 1000), float("nan")))
    again, _ = objective(student, blind, targets(torch.tensor([3, 3, 3, 3])))
    assert torch.equal(total, again)


def test_the_published_settings_are_the_defaults() -> None:
    (seed,), (compress,) = SEED().weighted(), CompRess().weighted()
    assert seed == Instances(student_temperature=0.2, teacher_temperature=0.01, queue=65_536)
    assert compress == Compression(temperature=0.04, queues=2, queue=128_000)
