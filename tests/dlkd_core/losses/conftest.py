"""Outputs of two made-up networks of different widths, sizes and depths, and terms in that setting."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from dlkd_core.catalog import METHODS, Method
from dlkd_core.catalog.method import Situation
from dlkd_core.catalog.methods import Combine
from dlkd_core.catalog.terms import TERMS, Term
from dlkd_core.losses.term import Setting, TermModule
from dlkd_core.outputs import Outputs, Shapes, Targets
from dlkd_core.resolve import resolve

Make = Callable[..., Outputs]
Build = Callable[..., TermModule]

CLASSES, STUDENT_WIDTH, TEACHER_WIDTH, IMAGES = 10, 12, 20, 64
MAPS = {  # by the width of the features: the teacher has a block more, other channels, and sizes that are no multiples
    STUDENT_WIDTH: ((4, 8, 8), (6, 4, 4), (8, 2, 2)),
    TEACHER_WIDTH: ((5, 14, 14), (7, 8, 8), (9, 7, 7), (11, 3, 3)),
}


def shapes(width: int, classes: int = CLASSES) -> Shapes:
    """Of the network with features of that width."""
    return Shapes(classes, width, MAPS[width])


def setting(views: int, *, teacher: int | None = TEACHER_WIDTH, classes: int = CLASSES) -> Setting:
    """A run of the two networks over 64 images; `classes` are the teacher's."""
    theirs = None if teacher is None else shapes(teacher, classes)
    return Setting(shapes(STUDENT_WIDTH), theirs, CLASSES, views, IMAGES, torch.arange(IMAGES) % CLASSES, classify)


def classify(features: Tensor) -> Tensor:
    """The made-up teacher's classifier: the features' sums by class, (N, CLASSES)."""
    return features.view(len(features), CLASSES, -1).sum(dim=2)


def targets(labels: Tensor, *, epoch: int = 1) -> Targets:
    """Those labels, of the first images of the training split."""
    return Targets(labels, torch.arange(len(labels)), epoch)


def example(name: str) -> Method:
    """The method with its defaults, as it is run at the paper's budget; `combine` has every term."""
    if name == "combine":
        return Combine(views="rotation4", terms=tuple(term() for term in TERMS.values()))
    return METHODS[name](name=name).adapted(Situation(steps=240 * 782))


@pytest.fixture
def make() -> Make:
    """Random outputs of `rows` rows and features of `width`, the same for the same seed."""

    def outputs(rows: int, width: int = STUDENT_WIDTH, *, seed: int = 0) -> Outputs:
        generator = torch.Generator().manual_seed(seed)
        logits, features = (torch.randn(rows, size, generator=generator) for size in (CLASSES, width))
        return Outputs(logits, features, tuple(torch.randn(rows, *shape, generator=generator) for shape in MAPS[width]))

    return outputs


@pytest.fixture
def build() -> Build:
    """The term's module for those outputs; `teacher` is the width of the teacher's features, None for a run without one."""

    def module(params: Term, *, views: int = 4, teacher: int | None = TEACHER_WIDTH, classes: int = CLASSES) -> TermModule:
        torch.manual_seed(0)
        built: TermModule = resolve(params.target)(params, setting(views, teacher=teacher, classes=classes))
        return built

    return module
