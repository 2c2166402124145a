"""The weights with all that is needed to use them."""

import json
from pathlib import Path

import torch
from safetensors import safe_open

from dlkd_core.export import Work
from dlkd_core.export.safetensors_file import SafetensorsFile
from dlkd_core.teachers.load import load_teacher


def written(work: Work, directory: Path) -> Path:
    SafetensorsFile().write(work, directory / "student.safetensors")
    return directory / "student.safetensors"


def test_the_file_alone_gives_the_students_logits(work: Work, tmp_path: Path) -> None:
    images = torch.rand(7, 3, 8, 8)
    logits = SafetensorsFile().load(written(work, tmp_path))(images)
    assert torch.equal(logits, work.student.deployable()(images))
    assert not logits.requires_grad


def test_the_weights_stand_under_the_networks_own_keys_and_the_rest_in_the_metadata(work: Work, tmp_path: Path) -> None:
    with safe_open(written(work, tmp_path), framework="pt") as file:
        facts = file.metadata()
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    assert weights.keys() == work.student.weights.keys()
    assert all(torch.equal(tensor, work.student.weights[name]) for name, tensor in weights.items())
    assert facts["architecture"] == "resnet8"
    assert json.loads(facts["options"]) == {"shortcut": "pad"}
    assert json.loads(facts["classes"]) == ["diagonal", "horizontal", "vertical"]
    assert json.loads(facts["normalization"]) == {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7]}
    assert json.loads(facts["size"]) == [8, 8]


def test_equal_students_are_equal_files(work: Work, tmp_path: Path) -> None:
    contents = set()
    for name in "abc":
        (tmp_path / name).mkdir()
        contents.add(written(work, tmp_path / name).read_bytes())
    assert len(contents) == 1


def test_a_student_can_be_the_next_ones_teacher(work: Work, tmp_path: Path) -> None:
    loaded = load_teacher(written(work, tmp_path))
    assert (loaded.architecture, loaded.options, loaded.num_classes) == ("resnet8", {"shortcut": "pad"}, 3)
