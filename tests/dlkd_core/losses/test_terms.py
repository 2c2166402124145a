"""What holds for every term that compares a student with a teacher: nothing is left to learn from oneself."""

import pytest
import torch

from dlkd_core.catalog.terms import (
    Attention,
    Boundaries,
    Contrast,
    Decoupled,
    Factors,
    Geometry,
    Hint,
    NeuronSelectivity,
    Probabilities,
    Relations,
    Review,
    Similarity,
    Term,
    Variational,
)
from dlkd_core.errors import ClassesDoNotFit, SpecError
from dlkd_core.losses.negatives import Negatives
from dlkd_core.losses.pairs import paired
from dlkd_core.losses.term import Setting
from dlkd_core.outputs import Shapes
from dlkd_core.resolve import resolve
from tests.dlkd_core.losses.conftest import CLASSES, IMAGES, STUDENT_WIDTH, TEACHER_WIDTH, Build, Make, shapes, targets

TARGETS = targets(torch.tensor([0, 1, 0, 2]))
WITHOUT_HEADS = [
    Decoupled(),
    Relations(temperature=1.0),
    Attention(),
    Similarity(),
    NeuronSelectivity(),
    Geometry(),
    Probabilities(),
]
OF_MAPS = [Attention(), Similarity(), NeuronSelectivity(), Hint(), Variational(), Review(), Factors(), Boundaries()]


@pytest.mark.parametrize("params", WITHOUT_HEADS, ids=lambda params: params.name)
def test_a_student_that_shows_what_its_teacher_shows_has_nothing_to_learn(make: Make, build: Build, params: Term) -> None:
    term = build(params, views=1, teacher=STUDENT_WIDTH)
    ours, theirs = make(4), make(4, seed=5)
    ours.features.requires_grad_()
    assert term(theirs, theirs, TARGETS).item() == pytest.approx(0, abs=1e-5)
    assert term(ours, theirs, TARGETS).item() > 1e-6


@pytest.mark.parametrize("params", OF_MAPS, ids=lambda params: params.name)
def test_terms_of_block_outputs_say_so_where_a_network_shows_none(params: Term) -> None:
    blind = Setting(Shapes(CLASSES, 8, ()), shapes(TEACHER_WIDTH), CLASSES, 1, IMAGES)
    with pytest.raises(SpecError, match="block outputs"):
        resolve(params.target)(params, blind)


@pytest.mark.parametrize("params", [Decoupled(), Relations()], ids=lambda params: params.name)
def test_terms_of_logits_want_the_same_classes(build: Build, params: Term) -> None:
    with pytest.raises(ClassesDoNotFit, match="teacher gives 1000 logits"):
        build(params, classes=1000)


def test_blocks_are_paired_from_the_deep_end() -> None:
    assert paired("ABC", "1234") == [("A", "2"), ("B", "3"), ("C", "4")]
    assert paired("ABCD", "12") == [("C", "1"), ("D", "2")]


def test_distances_do_not_change_with_the_scale_of_the_features(make: Make, build: Build) -> None:
    term, ours, theirs = build(Geometry(), views=1), make(4), make(4, TEACHER_WIDTH, seed=1)
    larger = ours._replace(features=10 * ours.features)
    torch.testing.assert_close(term(larger, theirs, TARGETS), term(ours, theirs, TARGETS))


def test_negatives_are_images_of_other_classes_and_the_positive_stands_first() -> None:
    labels = torch.tensor([0, 1, 2, 2, 1, 0, 2, 2])
    draw = Negatives(labels, 1000)
    rows = torch.tensor([3, 0, 4])
    seen = torch.cat([draw(targets(labels[rows])._replace(rows=rows)) for _ in range(200)], dim=1)
    assert draw.count == 4  # all but the four of the largest class
    assert torch.equal(draw(targets(labels[rows])._replace(rows=rows))[:, 0], rows)
    for row, drawn in zip(rows.tolist(), seen, strict=True):
        others = set(drawn.tolist()) - {row}
        assert others == {other for other in range(8) if labels[other] != labels[row]}


def test_negatives_go_on_where_a_checkpoint_left_them() -> None:
    labels = torch.arange(50) % 5
    first, again = Negatives(labels, 7), Negatives(labels, 7)
    batch = targets(labels[:4])
    first(batch)
    again.load_state_dict(first.state_dict())
    assert torch.equal(first(batch), again(batch))


def test_contrast_remembers_both_networks_at_unit_length(make: Make, build: Build) -> None:
    term = build(Contrast(negatives=5), views=1)
    before = term.memory_student.clone()
    term(make(4), make(4, TEACHER_WIDTH, seed=1), TARGETS)
    changed = (term.memory_student != before).any(dim=1)
    assert changed.nonzero().flatten().tolist() == [0, 1, 2, 3]
    torch.testing.assert_close(term.memory_teacher[:4].norm(dim=1), torch.ones(4))


def test_contrast_needs_two_classes() -> None:
    alike = Setting(shapes(STUDENT_WIDTH), shapes(TEACHER_WIDTH), CLASSES, 1, 4, torch.zeros(4, dtype=torch.int64))
    with pytest.raises(SpecError, match="two classes"):
        resolve(Contrast.target)(Contrast(), alike)
