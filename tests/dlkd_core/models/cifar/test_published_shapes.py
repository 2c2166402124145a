"""Tests that parameter counts and output shapes of the CIFAR networks equal the published ones."""

import pytest
import torch

from dlkd_core.catalog import ARCHITECTURES
from dlkd_core.models import FeatureExtractor, Network, build_network
from dlkd_core.models.network import count_parameters

_BASE = ((16, 32, 32), (32, 16, 16), (64, 8, 8))
_WIDE = ((32, 32, 32), (64, 16, 16), (128, 8, 8))
_X4 = ((64, 32, 32), (128, 16, 16), (256, 8, 8))
_VGG = ((128, 16, 16), (256, 8, 8), (512, 4, 4), (512, 4, 4))

# Parameter count for 100 classes, feature width, and block output shapes (C, H, W) for 32 x 32
# images. All values were measured with the published code.
TABLE = {
    "resnet8": (83_892, 64, _BASE),
    "resnet14": (181_108, 64, _BASE),
    "resnet20": (278_324, 64, _BASE),
    "resnet32": (472_756, 64, _BASE),
    "resnet44": (667_188, 64, _BASE),
    "resnet56": (861_620, 64, _BASE),
    "resnet110": (1_736_564, 64, _BASE),
    "resnet8x4": (1_233_540, 256, _X4),
    "resnet32x4": (7_433_860, 256, _X4),
    "ResNet50": (23_705_252, 2048, ((256, 32, 32), (512, 16, 16), (1024, 8, 8), (2048, 4, 4))),
    "wrn_16_1": (180_916, 64, _BASE),
    "wrn_40_1": (569_780, 64, _BASE),
    "wrn_16_2": (703_284, 128, _WIDE),
    "wrn_40_2": (2_255_156, 128, _WIDE),
    "vgg8": (3_965_028, 512, _VGG),
    "vgg11": (9_277_284, 512, _VGG),
    "vgg13": (9_462_180, 512, _VGG),
    "vgg16": (14_774_436, 512, _VGG),
    "vgg19": (20_086_692, 512, _VGG),
    "MobileNetV2": (812_836, 1280, ((12, 16, 16), (16, 8, 8), (48, 4, 4), (160, 2, 2))),
    "ShuffleV1": (949_258, 960, ((240, 16, 16), (480, 8, 8), (960, 4, 4))),
    "ShuffleV2": (1_355_528, 1024, ((116, 16, 16), (232, 8, 8), (464, 4, 4))),
}


def test_the_table_has_every_cifar_network_of_the_catalog() -> None:
    assert set(TABLE) == {
        name for name, entry in ARCHITECTURES.items() if entry.family not in {"torchvision", "timm"}
    } - {"wrn"}


@pytest.mark.parametrize("name", TABLE)
def test_parameters_and_shapes_match_the_published_code(name: str) -> None:
    parameters, width, blocks = TABLE[name]
    network = build_network(name, 100)
    with torch.no_grad():
        outputs = _make_extractor(network).eval()(torch.rand(2, 3, 32, 32))
    assert count_parameters(network.module) == parameters
    assert outputs.logits.shape == (2, 100)
    assert outputs.features.shape == (2, width)
    assert tuple(feature_map.shape[1:] for feature_map in outputs.feature_maps) == blocks


@pytest.mark.parametrize(("name", "parameters"), [("resnet20", 269_722), ("resnet56", 853_018)])
def test_padding_shortcuts_have_the_parameters_of_the_original_resnets(
    name: str, parameters: int
) -> None:
    network = build_network(name, 10, {"shortcut": "pad"})
    assert count_parameters(network.module) == parameters


@pytest.mark.parametrize("name", TABLE)
def test_the_smallest_image_runs_and_every_weight_learns(name: str) -> None:
    torch.manual_seed(0)
    network, side = build_network(name, 5), ARCHITECTURES[name].min_size
    assert side <= 8
    _make_extractor(network)(torch.rand(4, 3, side, side)).logits.square().mean().backward()
    assert [key for key, weight in network.module.named_parameters() if weight.grad is None] == []


def test_padding_shortcuts_keep_odd_sizes_and_put_zeros_on_both_sides() -> None:
    network = build_network("resnet8x4", 5, {"shortcut": "pad"})
    shortcut = network.module.get_submodule("layer2.0.downsample")
    out = shortcut(torch.ones(1, 64, 9, 9))
    assert out.shape == (1, 128, 5, 5)
    assert out[0, :, 0, 0].tolist() == [0] * 32 + [1] * 64 + [0] * 32
    assert _make_extractor(network)(torch.rand(2, 3, 9, 9)).logits.shape == (2, 5)


def _make_extractor(network: Network) -> FeatureExtractor:
    return FeatureExtractor(network, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
