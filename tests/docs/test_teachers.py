"""docs/teachers.md: the files that it tells people to write are teachers here."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from dlkd_core.errors import CheckpointRefused, TeacherError
from dlkd_core.spec import Normalization
from dlkd_core.teachers.load import load_teacher
from tests.docs.blocks import DOCS, blocks

AS_THEY_ARE = Normalization(mean=(0, 0, 0), std=(1, 1, 1))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the page's Python was run, block after block."""
    folder, back = tmp_path_factory.mktemp("teachers"), Path.cwd()
    page: dict[str, Any] = {}
    os.chdir(folder)
    try:
        for block in blocks(DOCS / "teachers.md", "python"):
            exec(block.text, page)  # noqa: S102 - the documentation's own words
    finally:
        os.chdir(back)
    return folder


@pytest.mark.parametrize("name", ["teacher.pth", "parallel.pth", "half.pth", "lightning.ckpt"])
def test_every_wrapping_of_the_page_is_the_same_teacher(written: Path, name: str) -> None:
    teacher = load_teacher(written / name)
    assert (teacher.architecture, teacher.num_classes) == ("resnet18", 10)


def test_the_graph_of_the_page_is_a_teacher_for_any_number_of_images(written: Path) -> None:
    shown = load_teacher(written / "teacher.onnx").source.tapped(AS_THEY_ARE, torch.device("cpu"))(torch.rand(3, 3, 32, 32))
    assert (shown.logits.shape, shown.features.shape) == ((3, 10), (3, 16))


def test_a_whole_module_is_refused_as_the_page_says(written: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), written / "module.pth")
    with pytest.raises(CheckpointRefused):
        load_teacher(written / "module.pth")


def test_the_codes_that_the_page_explains_exist() -> None:
    codes = set(re.findall(r"^\| `(\w+)` \|", (DOCS / "teachers.md").read_text(), re.MULTILINE))
    known = {error.code for error in [TeacherError, *TeacherError.__subclasses__()]}
    assert codes
    assert codes <= known
