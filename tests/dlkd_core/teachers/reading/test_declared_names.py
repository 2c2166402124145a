"""Tests for the names that training scripts give to the network in a checkpoint."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from dlkd_core.teachers.reading.checkpoint_reader import read_checkpoint
from dlkd_core.teachers.reading.declared_names import find_declared_names
from dlkd_core.teachers.recognition.declared_network import find_declared_network
from tests.dlkd_core.teachers.sample_checkpoints import random_state_dict, save_torch


@pytest.mark.parametrize(
    "saved",
    [
        {"arch": "resnet18", "epoch": 3},
        {"args": Namespace(model="resnet18", lr=0.1)},
        {"hyper_parameters": {"model_name": "resnet18", "lr": 0.1}},
        {"hyper_parameters": {"model": {"name": "resnet18"}}},
        {"config": {"model": "resnet18"}},
    ],
)
def test_names_are_found_where_training_scripts_save_them(
    tmp_path: Path, saved: dict[str, Any]
) -> None:
    path = save_torch(tmp_path / "a.pth", {**saved, "state_dict": random_state_dict()})
    assert read_checkpoint(path).declared_names == ("resnet18",)


def test_a_checkpoint_of_timms_training_script_gives_its_average_and_its_name(
    tmp_path: Path,
) -> None:
    weights, average = random_state_dict(), random_state_dict(options={"shortcut": "pad"})
    saved = {
        "epoch": 3,
        "arch": "resnet8",
        "state_dict": weights,
        "optimizer": {"state": {}, "param_groups": []},
        "version": 2,
        "args": Namespace(model="resnet8"),
        "state_dict_ema": average,
    }
    checkpoint = read_checkpoint(save_torch(tmp_path / "model_best.pth.tar", saved))
    assert checkpoint.declared_names == ("resnet8",)
    assert checkpoint.tensors.keys() == average.keys()


def test_the_metadata_of_safetensors_are_read(tmp_path: Path) -> None:
    save_file(random_state_dict(), tmp_path / "a.safetensors", {"architecture": "resnet8"})
    assert read_checkpoint(tmp_path / "a.safetensors").declared_names == ("resnet8",)


def test_a_state_dict_has_no_names_even_if_its_weights_do(tmp_path: Path) -> None:
    assert find_declared_names(random_state_dict()) == ()
    path = save_torch(tmp_path / "a.pth", {"model": random_state_dict()})
    assert read_checkpoint(path).declared_names == ()


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        ("resnet18", "resnet18"),
        ("timm/resnetblur18.bt_in1k", "timm/resnetblur18"),
        ("hf_hub:timm/ResNetBlur18", "timm/resnetblur18"),
        ("resnet", None),
    ],
)
def test_a_declared_name_may_have_the_prefix_and_tag_of_timm(
    declared: str, found: str | None
) -> None:
    alike = (("resnet18", "timm/resnet18"), ("timm/resnetblur18",))
    assert find_declared_network(["my_network", declared], alike) == found
