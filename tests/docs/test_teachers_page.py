"""Tests that the service accepts the files created by the code in docs/teachers.md."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from dlkd_core.errors import CheckpointRefused, TeacherError
from dlkd_core.spec import Normalization
from dlkd_core.teachers.loading import load_teacher_file
from tests.docs.code_blocks import DOCS, code_blocks

IDENTITY_NORMALIZATION = Normalization(mean=(0, 0, 0), std=(1, 1, 1))


@pytest.fixture(scope="module")
def page_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the Python code blocks of the page in order, and return the folder with their files."""
    folder, previous = tmp_path_factory.mktemp("teachers"), Path.cwd()
    page: dict[str, Any] = {}
    os.chdir(folder)
    try:
        for block in code_blocks(DOCS / "teachers.md", "python"):
            exec(block.text, page)  # noqa: S102 - the page's own code
    finally:
        os.chdir(previous)
    return folder


@pytest.mark.parametrize("name", ["teacher.pth", "parallel.pth", "half.pth", "lightning.ckpt"])
def test_every_checkpoint_form_loads_same_teacher(page_folder: Path, name: str) -> None:
    teacher = load_teacher_file(page_folder / name)
    assert (teacher.architecture, teacher.num_classes) == ("resnet18", 10)


def test_onnx_example_accepts_any_batch_size(page_folder: Path) -> None:
    teacher = load_teacher_file(page_folder / "teacher.onnx")
    extractor = teacher.source.build_extractor(IDENTITY_NORMALIZATION, torch.device("cpu"))
    outputs = extractor(torch.rand(3, 3, 32, 32))
    assert (outputs.logits.shape, outputs.features.shape) == ((3, 10), (3, 16))


def test_a_pickled_module_is_rejected(page_folder: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), page_folder / "module.pth")
    with pytest.raises(CheckpointRefused):
        load_teacher_file(page_folder / "module.pth")


def test_error_codes_on_the_page_exist() -> None:
    codes = set(re.findall(r"^\| `(\w+)` \|", (DOCS / "teachers.md").read_text(), re.MULTILINE))
    known = {error.code for error in [TeacherError, *TeacherError.__subclasses__()]}
    assert codes
    assert codes <= known
