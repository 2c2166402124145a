"""Tests that a safetensors export contains everything that is needed to use the weights."""

import json
from pathlib import Path

import torch
from safetensors import safe_open

from dlkd_core.export import ExportContext
from dlkd_core.export.safetensors_exporter import SafetensorsExporter
from dlkd_core.teachers.loading import load_teacher_file


def write_file(context: ExportContext, directory: Path) -> Path:
    SafetensorsExporter().write(context, directory / "student.safetensors")
    return directory / "student.safetensors"


def test_the_file_alone_gives_the_students_logits(context: ExportContext, tmp_path: Path) -> None:
    images = torch.rand(7, 3, 8, 8)
    logits = SafetensorsExporter().load(write_file(context, tmp_path))(images)
    assert torch.equal(logits, context.student.build_deployable()(images))
    assert not logits.requires_grad


def test_weights_have_the_networks_own_keys_and_everything_else_is_metadata(
    context: ExportContext, tmp_path: Path
) -> None:
    with safe_open(write_file(context, tmp_path), framework="pt") as file:
        metadata = file.metadata()
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    assert weights.keys() == context.student.weights.keys()
    assert all(
        torch.equal(tensor, context.student.weights[name]) for name, tensor in weights.items()
    )
    assert metadata["architecture"] == "resnet8"
    assert json.loads(metadata["options"]) == {"shortcut": "pad"}
    assert json.loads(metadata["classes"]) == ["diagonal", "horizontal", "vertical"]
    assert json.loads(metadata["normalization"]) == {
        "mean": [0.1, 0.2, 0.3],
        "std": [0.5, 0.6, 0.7],
    }
    assert json.loads(metadata["size"]) == [8, 8]


def test_equal_students_give_equal_files(context: ExportContext, tmp_path: Path) -> None:
    contents = set()
    for name in "abc":
        (tmp_path / name).mkdir()
        contents.add(write_file(context, tmp_path / name).read_bytes())
    assert len(contents) == 1


def test_a_student_can_be_loaded_as_a_teacher(context: ExportContext, tmp_path: Path) -> None:
    loaded = load_teacher_file(write_file(context, tmp_path))
    assert (loaded.architecture, loaded.options, loaded.num_classes) == (
        "resnet8",
        {"shortcut": "pad"},
        3,
    )
