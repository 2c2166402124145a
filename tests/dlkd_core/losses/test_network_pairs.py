"""Tests that every method works if teacher and student are networks of different kinds."""

from functools import cache

import pytest
import torch
from torch import Tensor

from dlkd_core.catalog import METHODS
from dlkd_core.data.augmentation.views import VIEW_COUNTS
from dlkd_core.losses import build_objective
from dlkd_core.losses.base_loss import LossContext
from dlkd_core.models import FeatureExtractor, build_network
from dlkd_core.network_outputs import Outputs, OutputShapes
from tests.dlkd_core.losses.conftest import CLASSES, IMAGES, example_method, make_targets

PAIRS = [  # (teacher, student)
    ("resnet8x4", "ShuffleV2"),
    ("swin_t", "resnet8"),
    ("resnet8", "swin_t"),
]
LABELS = torch.tensor([0, 1, 0, 2])


@cache
def get_extractor(name: str) -> FeatureExtractor:
    torch.manual_seed(0)
    return FeatureExtractor(
        build_network(name, CLASSES), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
    ).train()


def make_images(views: int) -> Tensor:
    return torch.rand(len(LABELS) * views, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@cache
def compute_outputs(name: str, views: int) -> Outputs:
    with torch.no_grad():
        outputs: Outputs = get_extractor(name)(make_images(views))
    return outputs


def make_context(teacher: str, student: str, views: int) -> LossContext:
    student_shapes = OutputShapes.from_outputs(compute_outputs(student, views))
    teacher_shapes = OutputShapes.from_outputs(compute_outputs(teacher, views))
    classifier = get_extractor(teacher).network.get_submodule(
        build_network(teacher, CLASSES).classifier
    )
    return LossContext(
        student_shapes,
        teacher_shapes,
        CLASSES,
        views,
        IMAGES,
        torch.arange(IMAGES) % CLASSES,
        classifier,
        lambda: iter([compute_outputs(teacher, views)]),
    )


@pytest.mark.parametrize(
    ("teacher", "student"), PAIRS, ids=[f"{teacher} to {student}" for teacher, student in PAIRS]
)
@pytest.mark.parametrize("name", sorted(set(METHODS) - {"plain"}))
def test_a_step_is_finite_and_its_gradient_reaches_the_student_and_every_head(
    name: str, teacher: str, student: str
) -> None:
    method = example_method(name)
    views = VIEW_COUNTS[method.views]
    objective = build_objective(method, make_context(teacher, student, views))
    get_extractor(student).zero_grad()
    loss, values = objective(
        get_extractor(student)(make_images(views)),
        compute_outputs(teacher, views),
        make_targets(LABELS),
    )
    loss.backward()

    gradients = [
        weight.grad for weight in get_extractor(student).parameters() if weight.grad is not None
    ]
    head_gradients = [weight.grad for weight in objective.parameters()]
    assert all(value.isfinite() for value in (loss, *values.values()))
    all_gradients = (*gradients, *head_gradients)
    assert all(gradient is not None and gradient.isfinite().all() for gradient in all_gradients)
    assert any(gradient.any() for gradient in gradients)
