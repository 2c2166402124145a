"""Tests that the CIFAR networks use the same layer names as the published checkpoints."""

import pytest

from dlkd_core.models.meta_network import build_meta_network

PUBLISHED = {
    "resnet20": (
        "conv1.weight bn1.running_mean layer1.0.conv1.weight layer2.0.downsample.0.weight "
        "layer3.2.bn2.bias fc.bias"
    ),
    "ResNet50": (
        "conv1.weight layer1.0.shortcut.0.weight layer1.0.shortcut.1.bias "
        "layer4.2.conv3.weight linear.weight"
    ),
    "wrn_40_2": (
        "conv1.weight block1.layer.0.convShortcut.weight block3.layer.5.bn2.weight "
        "bn1.running_var fc.weight"
    ),
    "vgg8": "block0.0.weight block0.0.bias block0.1.running_mean block4.1.weight classifier.weight",
    "MobileNetV2": (
        "conv1.0.weight conv1.1.bias blocks.0.0.conv.7.weight blocks.6.0.conv.3.weight "
        "classifier.0.bias"
    ),
    "ShuffleV1": "conv1.weight bn1.weight layer1.0.conv3.weight layer2.7.bn3.bias linear.weight",
    "ShuffleV2": (
        "conv1.weight layer1.0.conv5.weight layer2.7.bn3.bias conv2.weight bn2.bias linear.weight"
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_layers_have_their_published_names(name: str) -> None:
    keys = build_meta_network(name, 100).module.state_dict().keys()
    assert [key for key in PUBLISHED[name].split() if key not in keys] == []


def test_shortcuts_without_parameters_have_no_keys() -> None:
    assert [
        key
        for key in build_meta_network("resnet20", 10, {"shortcut": "pad"}).module.state_dict()
        if "downsample" in key
    ] == []
