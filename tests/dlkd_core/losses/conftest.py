"""Fixtures and helpers that make random network outputs and build losses.

Student and teacher differ in feature width, depth and feature map sizes.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from dlkd_core.catalog import METHODS, Method
from dlkd_core.catalog.base_loss_params import LossParams
from dlkd_core.catalog.loss_params import TERMS
from dlkd_core.catalog.methods import Combine
from dlkd_core.catalog.methods.base_method import RunContext
from dlkd_core.common import import_target
from dlkd_core.losses.base_loss import DistillationLoss, LossContext
from dlkd_core.network_outputs import Outputs, OutputShapes, Targets

MakeOutputs = Callable[..., Outputs]
BuildLoss = Callable[..., DistillationLoss]

CLASSES, STUDENT_WIDTH, TEACHER_WIDTH, IMAGES = 10, 12, 20, 64
# Feature map shapes, keyed by feature width. The teacher has one block more than the student, other
# channel counts, and map sizes that are mostly not multiples of the student's sizes.
MAPS = {
    STUDENT_WIDTH: ((4, 8, 8), (6, 4, 4), (8, 2, 2)),
    TEACHER_WIDTH: ((5, 14, 14), (7, 8, 8), (9, 7, 7), (11, 3, 3)),
}


def make_shapes(width: int, classes: int = CLASSES) -> OutputShapes:
    """Return the output shapes of the student or teacher, whichever has this feature width."""
    return OutputShapes(classes, width, MAPS[width])


def make_context(
    views: int, *, teacher: int | None = TEACHER_WIDTH, classes: int = CLASSES
) -> LossContext:
    """Return the loss context of a run on 64 images.

    `teacher` is the width of the teacher's features, or None for a run without a teacher.
    `classes` is the number of the teacher's classes.
    """
    teacher_shapes = None if teacher is None else make_shapes(teacher, classes)
    return LossContext(
        make_shapes(STUDENT_WIDTH),
        teacher_shapes,
        CLASSES,
        views,
        IMAGES,
        torch.arange(IMAGES) % CLASSES,
        classify_features,
        lambda: iter([random_outputs(8, teacher or TEACHER_WIDTH, seed=9)]),
    )


def classify_features(features: Tensor) -> Tensor:
    """Classify as the teacher does: each of the logits (N, CLASSES) is a sum of features."""
    return features.view(len(features), CLASSES, -1).sum(dim=2)


def random_outputs(rows: int, width: int = STUDENT_WIDTH, *, seed: int = 0) -> Outputs:
    """Return random outputs of the student or the teacher, chosen by feature width."""
    generator = torch.Generator().manual_seed(seed)
    logits, features = (torch.randn(rows, size, generator=generator) for size in (CLASSES, width))
    maps = tuple(torch.randn(rows, *shape, generator=generator) for shape in MAPS[width])
    return Outputs(logits, features, maps)


def make_targets(labels: Tensor, *, epoch: int = 1) -> Targets:
    """Return targets for the first images of the training split, with the given labels."""
    return Targets(labels, torch.arange(len(labels)), epoch)


def example_method(name: str) -> Method:
    """Return the named method with its default settings for a run of the DLKD paper's length.

    If the name is `combine`, the method contains every loss term.
    """
    if name == "combine":
        return Combine(views="rotation4", terms=tuple(term() for term in TERMS.values()))
    return METHODS[name](name=name).adapt(RunContext(steps=790))


@pytest.fixture
def make_outputs() -> MakeOutputs:
    """Return a function that makes random network outputs from a seed."""
    return random_outputs


@pytest.fixture
def build_loss() -> BuildLoss:
    """Return a function that builds a loss for the outputs of `make_outputs`.

    The argument `teacher` of that function is the width of the teacher's features, or None if there
    is no teacher.
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
