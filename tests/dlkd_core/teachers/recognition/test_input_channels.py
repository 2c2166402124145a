"""Tests for checkpoints of networks that take other images than RGB."""

from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

from dlkd_core.catalog.channels import input_channels
from dlkd_core.models.network import build_network
from dlkd_core.teachers.loading import load_teacher_file
from dlkd_core.teachers.recognition.recognizer import recognize


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("architecture", ["resnet20", "mobilenet_v2", "timm/efficientnet_b0"])
def test_a_checkpoint_states_its_number_of_channels(architecture: str, *, named: bool) -> None:
    weights = build_network(architecture, 7, {"in_channels": 1}).module.state_dict()
    model = recognize(weights, architecture=architecture if named else None)
    assert (model.architecture, model.options["in_channels"]) == (architecture, 1)
    assert model.num_classes == 7


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("prefix", ["module.backbone.", "learner.net."])
@pytest.mark.parametrize("architecture", ["resnet20", "mobilenet_v2"])
def test_a_wrapped_checkpoint_states_its_number_of_channels(
    architecture: str, prefix: str, channels: int
) -> None:
    weights = build_network(architecture, 7, {"in_channels": channels}).module.state_dict()
    wrapped = {f"{prefix}{name}": tensor for name, tensor in weights.items()}
    model = recognize({**wrapped, "metrics.total": torch.zeros(1)})
    assert (model.architecture, input_channels(model.options)) == (architecture, channels)
    assert model.num_classes == 7
    assert model.tensors.keys() == weights.keys()


def test_a_self_supervised_encoder_states_its_number_of_channels() -> None:
    weights = build_network("resnet8", 7, {"in_channels": 4}).module.state_dict()
    encoder = {f"encoder_q.{name}": tensor for name, tensor in weights.items() if "fc" not in name}
    model = recognize({**encoder, "encoder_q.fc.0.weight": torch.zeros(64, 64)})
    assert (model.architecture, model.options["in_channels"]) == ("resnet8", 4)
    assert model.num_classes == 0


@pytest.mark.parametrize("channels", [1, 4])
def test_a_nested_checkpoint_states_its_number_of_channels(tmp_path: Path, channels: int) -> None:
    weights = build_network("resnet8", 7, {"in_channels": channels}).module.state_dict()
    wrapped = {f"module.backbone.{name}": tensor for name, tensor in weights.items()}
    torch.save({"epoch": 3, "model": {"state_dict": wrapped}}, tmp_path / "nested.pth")
    teacher = load_teacher_file(tmp_path / "nested.pth")
    assert (teacher.architecture, teacher.channels) == ("resnet8", channels)


def test_a_torchvision_network_with_a_replaced_first_layer_is_recognized() -> None:
    network = torchvision.models.resnet18(num_classes=3)
    network.conv1 = nn.Conv2d(5, 64, 7, 2, 3, bias=False)
    model = recognize(network.state_dict())
    assert (model.architecture, model.options["in_channels"]) == ("resnet18", 5)


def test_a_network_for_gray_images_computes_what_the_rgb_network_computes_for_them() -> None:
    torch.manual_seed(0)
    rgb = build_network("resnet8", 4).module.eval()
    torch.manual_seed(0)
    gray = build_network("resnet8", 4, {"in_channels": 1}).module.eval()
    images = torch.rand(2, 1, 16, 16)
    torch.testing.assert_close(gray(images), rgb(images.expand(-1, 3, -1, -1)))
