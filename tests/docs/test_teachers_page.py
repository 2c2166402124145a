"""Tests that the service accepts the files created by the code in docs/teachers.md."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from dlkd_core.errors import CheckpointRefused, TeacherError
from dlkd_core.teachers.loading import load_teacher_file
from tests.docs.code_blocks import DOCS, code_blocks


@pytest.fixture(scope="module")
def page_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the Python code blocks of the page in order, and return the folder with their files.

    The blocks with a title are recipes, which `test_onnx_recipes.py` runs.
    """
    folder, previous = tmp_path_factory.mktemp("teachers"), Path.cwd()
    page: dict[str, Any] = {}
    os.chdir(folder)
    try:
        for block in code_blocks(DOCS / "teachers.md", "python"):
            if not block.title:
                exec(block.text, page)  # noqa: S102 - the page's own code
    finally:
        os.chdir(previous)
    return folder


@pytest.mark.parametrize("name", ["teacher.pth", "parallel.pth", "half.pth", "lightning.ckpt"])
def test_every_checkpoint_form_loads_same_teacher(page_folder: Path, name: str) -> None:
    teacher = load_teacher_file(page_folder / name)
    assert (teacher.architecture, teacher.num_classes) == ("resnet18", 10)


def test_a_pickled_module_is_rejected(page_folder: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), page_folder / "module.pth")
    with pytest.raises(CheckpointRefused):
        load_teacher_file(page_folder / "module.pth")


def test_error_codes_on_the_page_exist() -> None:
    codes = set(re.findall(r"^\| `(\w+)` \|", (DOCS / "teachers.md").read_text(), re.MULTILINE))
    known = {error.code for error in [TeacherError, *TeacherError.__subclasses__()]}
    assert codes
    assert codes <= known
