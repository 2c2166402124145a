"""Every method of the catalog between networks of unlike kinds: what the terms see is what real networks show."""

from functools import cache

import pytest
import torch
from torch import Tensor

from dlkd_core.catalog import METHODS
from dlkd_core.data.views import VIEWS
from dlkd_core.losses import build as build_objective
from dlkd_core.losses.term import Setting
from dlkd_core.models import Tapped, build
from dlkd_core.outputs import Outputs, Shapes
from tests.dlkd_core.losses.conftest import CLASSES, IMAGES, example, targets

PAIRS = [("resnet8x4", "ShuffleV2"), ("swin_t", "resnet8"), ("resnet8", "swin_t")]  # teacher, student
LABELS = torch.tensor([0, 1, 0, 2])


@cache
def network(name: str) -> Tapped:
    torch.manual_seed(0)
    return Tapped(build(name, CLASSES), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)).train()


def images(views: int) -> Tensor:
    return torch.rand(len(LABELS) * views, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@cache
def taught(name: str, views: int) -> Outputs:
    with torch.no_grad():
        shown: Outputs = network(name)(images(views))
    return shown


def setting(teacher: str, student: str, views: int) -> Setting:
    shapes, theirs = (Shapes.of(taught(name, views)) for name in (student, teacher))
    classifier = network(teacher).network.get_submodule(build(teacher, CLASSES).classifier)
    return Setting(shapes, theirs, CLASSES, views, IMAGES, torch.arange(IMAGES) % CLASSES, classifier)


@pytest.mark.parametrize(("teacher", "student"), PAIRS, ids=[f"{teacher} to {student}" for teacher, student in PAIRS])
@pytest.mark.parametrize("name", sorted(set(METHODS) - {"plain"}))
def test_a_step_is_finite_and_its_gradient_reaches_the_student_and_every_head(name: str, teacher: str, student: str) -> None:
    method = example(name)
    views = VIEWS[method.views]
    objective = build_objective(method, setting(teacher, student, views))
    network(student).zero_grad()
    loss, values = objective(network(student)(images(views)), taught(teacher, views), targets(LABELS))
    loss.backward()

    ours = [weight.grad for weight in network(student).parameters() if weight.grad is not None]
    heads = [weight.grad for weight in objective.parameters()]
    assert all(value.isfinite() for value in (loss, *values.values()))
    assert all(gradient is not None and gradient.isfinite().all() for gradient in (*ours, *heads))
    assert any(gradient.any() for gradient in ours)
