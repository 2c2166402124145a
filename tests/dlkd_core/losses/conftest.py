"""Outputs of two made-up networks of different widths, and terms in that setting."""

from collections.abc import Callable

import pytest
import torch

from dlkd_core.catalog.terms import Term
from dlkd_core.losses.term import Setting, TermModule
from dlkd_core.outputs import Outputs, Shapes
from dlkd_core.resolve import resolve

Make = Callable[..., Outputs]
Build = Callable[..., TermModule]

CLASSES, STUDENT_WIDTH, TEACHER_WIDTH = 10, 12, 20


@pytest.fixture
def make() -> Make:
    """Random outputs of `rows` rows and features of `width`, the same for the same seed."""

    def outputs(rows: int, width: int = STUDENT_WIDTH, *, seed: int = 0) -> Outputs:
        generator = torch.Generator().manual_seed(seed)
        return Outputs(torch.randn(rows, CLASSES, generator=generator), torch.randn(rows, width, generator=generator), ())

    return outputs


@pytest.fixture
def build() -> Build:
    """The term's module for those outputs; `teacher` is the width of the teacher's features, None for a run without one."""

    def module(params: Term, *, views: int = 4, teacher: int | None = TEACHER_WIDTH, classes: int = CLASSES) -> TermModule:
        torch.manual_seed(0)
        ours, theirs = Shapes(CLASSES, STUDENT_WIDTH, ()), None if teacher is None else Shapes(classes, teacher, ())
        built: TermModule = resolve(params.target)(params, Setting(ours, theirs, CLASSES, views, images=64))
        return built

    return module
