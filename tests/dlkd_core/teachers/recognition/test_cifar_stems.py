"""Tests that torchvision ResNets with a stem for small images are recognized."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models import get_model

from dlkd_core.models import build_network
from dlkd_core.teachers.loading import inspect_teacher, load_teacher_file
from tests.dlkd_core.teachers.sample_checkpoints import save_torch


@pytest.mark.parametrize("name", ["resnet18", "resnext50_32x4d"])
def test_a_resnet_with_a_small_stem_computes_the_same_after_loading(
    tmp_path: Path, name: str
) -> None:
    module = get_model(name, num_classes=5)
    module.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    module.maxpool = nn.Identity()
    path = save_torch(tmp_path / "a.pth", module.state_dict())
    description = inspect_teacher(path)
    assert (description["architecture"], description["options"]) == (name, {"stem": "cifar"})
    assert description["alternatives"] == []
    network = load_teacher_file(path).source.network.module  # type: ignore[attr-defined]
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(network(images), module.eval()(images))


def test_a_student_may_have_a_small_stem() -> None:
    torch.manual_seed(0)
    network = build_network("resnet18", 10, {"stem": "cifar"})
    standard_deviation = network.module.conv1.weight.std().item()
    assert standard_deviation == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.05)
    assert network.module.eval()(torch.rand(1, 3, 32, 32)).shape == (1, 10)
