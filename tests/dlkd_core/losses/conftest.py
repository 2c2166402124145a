"""Random outputs of two networks that differ in width, depth and feature map size, and losses."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from dlkd_core.catalog import METHODS, Method
from dlkd_core.catalog.loss_params import TERMS, LossParams
from dlkd_core.catalog.methods import Combine
from dlkd_core.catalog.methods.base_method import RunContext
from dlkd_core.common import import_target
from dlkd_core.losses.base_loss import DistillationLoss, LossContext
from dlkd_core.network_outputs import Outputs, OutputShapes, Targets

MakeOutputs = Callable[..., Outputs]
BuildLoss = Callable[..., DistillationLoss]

CLASSES, STUDENT_WIDTH, TEACHER_WIDTH, IMAGES = 10, 12, 20, 64
# Feature map shapes by feature width. The teacher has one more block, other channel counts, and
# sizes that are not multiples of the student's.
MAPS = {
    STUDENT_WIDTH: ((4, 8, 8), (6, 4, 4), (8, 2, 2)),
    TEACHER_WIDTH: ((5, 14, 14), (7, 8, 8), (9, 7, 7), (11, 3, 3)),
}


def make_shapes(width: int, classes: int = CLASSES) -> OutputShapes:
    """Return the output shapes of the network whose features have this width."""
    return OutputShapes(classes, width, MAPS[width])


def make_context(
    views: int, *, teacher: int | None = TEACHER_WIDTH, classes: int = CLASSES
) -> LossContext:
    """Return the loss context of a run on 64 images whose teacher has `classes` classes."""
    teacher_shapes = None if teacher is None else make_shapes(teacher, classes)
    return LossContext(
        make_shapes(STUDENT_WIDTH),
        teacher_shapes,
        CLASSES,
        views,
        IMAGES,
        torch.arange(IMAGES) % CLASSES,
        classify_features,
    )


def classify_features(features: Tensor) -> Tensor:
    """Sum the features of each class to logits (N, CLASSES). This is the teacher's classifier."""
    return features.view(len(features), CLASSES, -1).sum(dim=2)


def make_targets(labels: Tensor, *, epoch: int = 1) -> Targets:
    """Return targets with these labels for the first images of the training split."""
    return Targets(labels, torch.arange(len(labels)), epoch)


def example_method(name: str) -> Method:
    """Return a method with its defaults for the paper's run length. `combine` has every term."""
    if name == "combine":
        return Combine(views="rotation4", terms=tuple(term() for term in TERMS.values()))
    return METHODS[name](name=name).adapt(RunContext(steps=240 * 782))


@pytest.fixture
def make_outputs() -> MakeOutputs:
    """Return a function that makes random outputs from a seed."""

    def make(rows: int, width: int = STUDENT_WIDTH, *, seed: int = 0) -> Outputs:
        generator = torch.Generator().manual_seed(seed)
        logits, features = (
            torch.randn(rows, size, generator=generator) for size in (CLASSES, width)
        )
        return Outputs(
            logits,
            features,
            tuple(torch.randn(rows, *shape, generator=generator) for shape in MAPS[width]),
        )

    return make


@pytest.fixture
def build_loss() -> BuildLoss:
    """Return a function that builds a loss for the outputs of `make_outputs`.

    `teacher` is the width of the teacher's features, or None for a run without a teacher.
    """

    def build(
        params: LossParams,
        *,
        views: int = 4,
        teacher: int | None = TEACHER_WIDTH,
        classes: int = CLASSES,
    ) -> DistillationLoss:
        torch.manual_seed(0)
        context = make_context(views, teacher=teacher, classes=classes)
        loss: DistillationLoss = import_target(params.target)(params, context)
        return loss

    return build
