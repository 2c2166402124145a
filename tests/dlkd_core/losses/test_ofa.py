"""Tests for one-for-all distillation."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from dlkd_core.catalog.loss_params import OFAParams
from dlkd_core.errors import SpecError
from dlkd_core.losses.ofa import OFALoss
from dlkd_core.network_outputs import OutputShapes
from tests.dlkd_core.losses.conftest import (
    CLASSES,
    MAPS,
    STUDENT_WIDTH,
    TEACHER_WIDTH,
    MakeOutputs,
    make_context,
    make_targets,
)

TARGETS = make_targets(torch.tensor([0, 1, 0, 2]))


def test_exits_follow_the_widths_of_the_deeper_stages() -> None:
    loss = OFALoss(OFAParams(), make_context(1))
    widths = [
        [layer.out_channels for layer in branch.modules() if isinstance(layer, nn.Conv2d)]
        for branch in loss.exits
    ]
    assert [shape[0] for shape in MAPS[STUDENT_WIDTH]] == [4, 6, 8]
    last = max(STUDENT_WIDTH, TEACHER_WIDTH)
    assert widths == [[4, 4, 4, 6, 6, 6, 6, last], [6, 6, 6, last], [last]]
    assert all(branch[-1].out_features == CLASSES for branch in loss.exits)


def test_the_teacher_needs_no_block_outputs(make_outputs: MakeOutputs) -> None:
    context = replace(make_context(1), teacher_shapes=OutputShapes(CLASSES, TEACHER_WIDTH, ()))
    teacher = make_outputs(4, TEACHER_WIDTH, seed=1)._replace(feature_maps=())
    assert OFALoss(OFAParams(), context)(make_outputs(4), teacher, TARGETS) > 0


def test_a_student_without_block_outputs_is_rejected() -> None:
    context = replace(make_context(1), student_shapes=OutputShapes(CLASSES, STUDENT_WIDTH, ()))
    with pytest.raises(SpecError, match="this student exposes none") as caught:
        OFALoss(OFAParams(), context)
    assert caught.value.pointer == "/student/architecture"


def test_a_confident_and_correct_teacher_doubles_the_weight_of_the_label(
    make_outputs: MakeOutputs,
) -> None:
    """The enhanced target of the label is 2^exponent - 1."""
    student = make_outputs(4)
    one_hot = nn.functional.one_hot(TARGETS.labels, CLASSES)
    teacher = make_outputs(4, TEACHER_WIDTH)._replace(logits=1e4 * one_hot)
    loss = OFALoss(OFAParams(exponent=2.0, exits=0.0), make_context(1))
    expected = 3 * nn.functional.cross_entropy(student.logits, TARGETS.labels)
    torch.testing.assert_close(loss(student, teacher, TARGETS), expected)
