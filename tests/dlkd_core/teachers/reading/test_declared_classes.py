"""Tests for the class names that files give to a teacher's classes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from dlkd_core.models import build_network
from dlkd_core.teachers.loading import load_teacher_file
from dlkd_core.teachers.reading.declared_classes import find_class_names

NAMES = ("cat", "dog", "owl")


@pytest.mark.parametrize(
    "saved",
    [
        {"classes": ["cat", "dog", "owl"]},
        {"class_to_idx": {"dog": 1, "cat": 0, "owl": 2}},
        {"names": "{0: 'cat', 1: 'dog', 2: 'owl'}"},
        {"id2label": '{"0": "cat", "1": "dog", "2": "owl"}'},
        {"classes": 3, "hyper_parameters": {"class_names": ("cat", "dog", "owl")}},
    ],
)
def test_names_are_found_where_tools_write_them(saved: Any) -> None:
    assert find_class_names(saved) == NAMES


@pytest.mark.parametrize(
    "saved",
    [
        {"classes": "cat, dog"},
        {"names": {0: "cat", 2: "owl"}},
        {"labels": torch.zeros(3)},
        {"labels": [0, 1, 2]},
        {"id2label": {0: "LABEL_0", 1: "LABEL_1"}},
        {"classes": "[" * 100_000},
        {"class_to_idx": {"cat": 0, "dog": 0}},
        {"config": {"config": {"config": {"config": {"classes": ["cat", "dog"]}}}}},
    ],
)
def test_anything_else_is_ignored(saved: Any) -> None:
    assert find_class_names(saved) == ()


def test_every_format_of_checkpoints_may_name_its_classes(tmp_path: Path) -> None:
    weights = build_network("resnet8", 3).module.state_dict()
    indices = {"cat": 0, "dog": 1, "owl": 2}
    torch.save({"state_dict": weights, "class_to_idx": indices}, tmp_path / "a.pt")
    save_file(weights, tmp_path / "a.safetensors", {"classes": '["cat", "dog", "owl"]'})
    for name in ("a.pt", "a.safetensors"):
        assert load_teacher_file(tmp_path / name).class_names == NAMES


def test_names_of_other_things_are_not_used(tmp_path: Path) -> None:
    weights = build_network("resnet8", 3).module.state_dict()
    torch.save({"state_dict": weights, "names": ["train", "val"]}, tmp_path / "a.pt")
    assert load_teacher_file(tmp_path / "a.pt").class_names == ()
