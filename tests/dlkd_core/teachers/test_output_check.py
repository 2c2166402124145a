"""Tests that a teacher is ready only if its network gives finite outputs."""

from pathlib import Path

import pytest
import torch

from dlkd_core.catalog import ARCHITECTURES
from dlkd_core.errors import CheckpointRefused
from dlkd_core.teachers.loading import inspect_teacher
from dlkd_core.teachers.output_check import check_outputs, default_image_side
from tests.dlkd_core.teachers.sample_checkpoints import (
    random_network,
    random_state_dict,
    save_torch,
)


def test_weights_that_overflow_are_refused_with_the_first_bad_layer(tmp_path: Path) -> None:
    weights = random_state_dict()
    weights["layer2.0.conv1.weight"].fill_(3e38)
    with pytest.raises(CheckpointRefused, match=r"32 x 32 pixels .*the output of layer2\.0\.conv1"):
        inspect_teacher(save_torch(tmp_path / "a.pth", weights))


def test_a_negative_variance_is_refused(tmp_path: Path) -> None:
    weights = random_state_dict()
    weights["bn1.running_var"].fill_(-1)
    with pytest.raises(CheckpointRefused, match=r"NaN or infinity, first in the output of bn1\."):
        inspect_teacher(save_torch(tmp_path / "a.pth", weights))


def test_networks_that_cannot_run_and_wrong_shapes_are_refused() -> None:
    network = random_network("resnet8", 10)
    with pytest.raises(CheckpointRefused, match=r"shape \(2, 10\) instead of \(2, 11\)"):
        check_outputs(network, "resnet8", {}, 11)
    network.module.register_module("fc", torch.nn.Linear(7, 10))
    with pytest.raises(CheckpointRefused, match="cannot be run with these weights"):
        check_outputs(network, "resnet8", {}, 10)


def test_a_network_without_a_classifier_needs_finite_features_only() -> None:
    network = random_network("resnet8", 1)
    network.module.get_submodule("fc").weight.detach().fill_(torch.inf)
    check_outputs(network, "resnet8", {}, 0)


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("resnet20", 32),
        ("resnet18", 224),
        ("maxvit_t", 224),
        ("timm/tf_efficientnet_b1", 240),
        ("timm/swin_tiny_patch4_window7_224", 224),
    ],
)
def test_the_default_image_size_is_that_of_the_published_network(name: str, side: int) -> None:
    assert default_image_side(name, {}) == side
    if ARCHITECTURES[name].is_resizable:
        assert default_image_side(name, {"image_size": 64}) == 64
