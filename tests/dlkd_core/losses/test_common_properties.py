"""Tests for the negative sampler, CRD's memory banks, and properties that many losses share."""

import pytest
import torch

from dlkd_core.catalog.base_loss_params import LossParams
from dlkd_core.catalog.feature_map_loss_params import (
    ABParams,
    ATParams,
    FitNetParams,
    FTParams,
    NSTParams,
    ReviewKDParams,
    SimKDParams,
    SPParams,
    VIDParams,
)
from dlkd_core.catalog.loss_params import (
    CRDParams,
    DISTParams,
    DKDParams,
    KDParams,
    MLLDParams,
    NKDParams,
    OFAParams,
    PKTParams,
    RKDParams,
    WTTMParams,
)
from dlkd_core.common import import_target
from dlkd_core.errors import ClassesDoNotFit, SpecError
from dlkd_core.losses.base_loss import LossContext
from dlkd_core.losses.block_pairs import pair_blocks
from dlkd_core.losses.negative_sampler import NegativeSampler
from dlkd_core.network_outputs import OutputShapes
from tests.dlkd_core.losses.conftest import (
    CLASSES,
    IMAGES,
    STUDENT_WIDTH,
    TEACHER_WIDTH,
    BuildLoss,
    MakeOutputs,
    make_shapes,
    make_targets,
)

TARGETS = make_targets(torch.tensor([0, 1, 0, 2]))
WITHOUT_HEADS = [
    DKDParams(),
    KDParams(standardize=True),
    WTTMParams(exponent=1.0),
    DISTParams(temperature=1.0),
    ATParams(),
    SPParams(),
    NSTParams(),
    RKDParams(),
    PKTParams(),
]
WITH_MAPS = [
    ATParams(),
    SPParams(),
    NSTParams(),
    FitNetParams(),
    VIDParams(),
    ReviewKDParams(),
    FTParams(),
    ABParams(),
    SimKDParams(),
]
ON_LOGITS = [
    DKDParams(),
    DISTParams(),
    WTTMParams(),
    NKDParams(),
    MLLDParams(),
    OFAParams(),
]


@pytest.mark.parametrize("params", WITHOUT_HEADS, ids=lambda params: params.name)
def test_a_student_equal_to_its_teacher_has_nothing_to_learn(
    make_outputs: MakeOutputs, build_loss: BuildLoss, params: LossParams
) -> None:
    loss = build_loss(params, views=1, teacher=STUDENT_WIDTH)
    student, teacher = make_outputs(4), make_outputs(4, seed=5)
    student.features.requires_grad_()
    assert loss(teacher, teacher, TARGETS).item() == pytest.approx(0, abs=1e-5)
    assert loss(student, teacher, TARGETS).item() > 1e-6


@pytest.mark.parametrize("params", WITH_MAPS, ids=lambda params: params.name)
def test_block_losses_reject_networks_without_block_outputs(params: LossParams) -> None:
    context = LossContext(
        OutputShapes(CLASSES, 8, ()), make_shapes(TEACHER_WIDTH), CLASSES, 1, IMAGES
    )
    with pytest.raises(SpecError, match="block outputs"):
        import_target(params.target)(params, context)


@pytest.mark.parametrize("params", ON_LOGITS, ids=lambda params: params.name)
def test_logit_losses_require_the_same_classes(build_loss: BuildLoss, params: LossParams) -> None:
    with pytest.raises(ClassesDoNotFit, match="teacher has 1000 logits"):
        build_loss(params, classes=1000)


def test_blocks_are_paired_from_the_deep_end() -> None:
    assert pair_blocks("ABC", "1234") == [("A", "2"), ("B", "3"), ("C", "4")]
    assert pair_blocks("ABCD", "12") == [("C", "1"), ("D", "2")]


def test_distances_do_not_change_with_the_scale_of_the_features(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    loss = build_loss(RKDParams(), views=1)
    student, teacher = make_outputs(4), make_outputs(4, TEACHER_WIDTH, seed=1)
    larger = student._replace(features=10 * student.features)
    torch.testing.assert_close(loss(larger, teacher, TARGETS), loss(student, teacher, TARGETS))


def test_negatives_are_images_of_other_classes_and_the_positive_comes_first() -> None:
    labels = torch.tensor([0, 1, 2, 2, 1, 0, 2, 2])
    sampler = NegativeSampler(labels, 1000)
    rows = torch.tensor([3, 0, 4])
    targets = make_targets(labels[rows])._replace(indices=rows)
    samples = torch.cat([sampler(targets) for _ in range(200)], dim=1)
    assert samples.shape == (3, 200 * 1001)
    assert torch.equal(sampler(targets)[:, 0], rows)
    for row, sample in zip(rows.tolist(), samples, strict=True):
        negatives = set(sample.tolist()) - {row}
        assert negatives == {other for other in range(8) if labels[other] != labels[row]}


def test_negatives_resume_from_a_checkpoint() -> None:
    labels = torch.arange(50) % 5
    sampler, resumed = NegativeSampler(labels, 7), NegativeSampler(labels, 7)
    targets = make_targets(labels[:4])
    sampler(targets)
    resumed.load_state_dict(sampler.state_dict())
    assert torch.equal(sampler(targets), resumed(targets))


def test_crd_memories_have_unit_length_and_change_only_for_the_images_of_the_batch(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    loss = build_loss(CRDParams(negatives=5), views=1)
    before = loss.memory_student.clone()
    loss(make_outputs(4), make_outputs(4, TEACHER_WIDTH, seed=1), TARGETS)
    changed = (loss.memory_student != before).any(dim=1)
    assert changed.nonzero().flatten().tolist() == [0, 1, 2, 3]
    torch.testing.assert_close(loss.memory_teacher[:4].norm(dim=1), torch.ones(4))


def test_crd_needs_two_classes() -> None:
    context = LossContext(
        make_shapes(STUDENT_WIDTH),
        make_shapes(TEACHER_WIDTH),
        CLASSES,
        1,
        4,
        torch.zeros(4, dtype=torch.int64),
    )
    with pytest.raises(SpecError, match="two classes"):
        import_target(CRDParams.target)(CRDParams(), context)
