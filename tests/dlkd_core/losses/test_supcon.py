"""Tests for the supervised contrastive loss between teacher and student."""

import pytest
import torch

from dlkd_core.catalog.loss_params import SupConParams
from tests.dlkd_core.losses.conftest import TEACHER_WIDTH, BuildLoss, MakeOutputs, make_targets

TARGETS = make_targets(torch.tensor([0, 1, 0]))


def test_the_order_of_the_images_does_not_matter(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    loss = build_loss(SupConParams())
    student = make_outputs(12)
    teacher = make_outputs(12, TEACHER_WIDTH, seed=1)
    order = torch.tensor([2, 0, 1])
    rows = (4 * order[:, None] + torch.arange(4)).flatten()
    reordered_student = student._replace(features=student.features[rows])
    reordered_teacher = teacher._replace(features=teacher.features[rows])
    torch.testing.assert_close(
        loss(reordered_student, reordered_teacher, make_targets(TARGETS.labels[order])),
        loss(student, teacher, TARGETS),
    )


def test_separated_classes_cost_less_than_mixed_classes(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    student, teacher = make_outputs(12), make_outputs(12, TEACHER_WIDTH, seed=1)
    row_labels = TARGETS.labels.repeat_interleave(4)
    separated = student._replace(features=student.features * 0.1 + 5 * torch.eye(12)[row_labels])
    loss = build_loss(SupConParams())
    assert loss(separated, teacher, TARGETS) < loss(
        separated, teacher, make_targets(torch.tensor([0, 0, 1]))
    )


def test_the_gradient_reaches_both_embeddings(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    loss = build_loss(SupConParams())
    loss(make_outputs(12), make_outputs(12, TEACHER_WIDTH, seed=1), TARGETS).backward()
    assert all(
        embedding.weight.grad is not None and embedding.weight.grad.any()
        for embedding in (loss.embed_student, loss.embed_teacher)
    )


def test_a_single_image_of_a_class_has_a_finite_loss(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    loss = build_loss(SupConParams(), views=1)
    assert loss(
        make_outputs(3),
        make_outputs(3, TEACHER_WIDTH, seed=1),
        make_targets(torch.tensor([0, 1, 2])),
    ).isfinite()


def test_a_wrong_number_of_labels_is_an_error(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    with pytest.raises(ValueError, match=r"Labels of shape \(.*\) do not match 3 images with 4"):
        build_loss(SupConParams())(
            make_outputs(12), make_outputs(12, TEACHER_WIDTH), make_targets(TARGETS.labels[:2])
        )
