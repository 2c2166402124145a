"""Tests for timm networks at small image sizes.

By default, one network of each family is tested. If the environment variable DLKD_TEST_ALL_TIMM is
set, all networks are tested, which takes several minutes.
"""

import os

import pytest
import torch

from dlkd_core.catalog import ARCHITECTURES
from dlkd_core.models import FeatureExtractor, build_network
from dlkd_core.models.meta_network import build_meta_network
from dlkd_core.models.network import pick_quarters

FAMILIES = {  # image side, feature width, feature maps (C, H, W)
    "resnet10t": (32, 512, [(64, 8, 8), (128, 4, 4), (256, 2, 2), (512, 1, 1)]),
    "vit_tiny_patch16_224": (32, 192, [(192, 2, 2)] * 4),
    "mobilenetv3_small_050": (32, 1024, [(8, 8, 8), (16, 4, 4), (24, 2, 2), (288, 1, 1)]),
    "efficientnet_b0": (32, 1280, [(24, 8, 8), (40, 4, 4), (112, 2, 2), (320, 1, 1)]),
    "convnext_atto": (32, 320, [(40, 8, 8), (80, 4, 4), (160, 2, 2), (320, 1, 1)]),
    "swin_tiny_patch4_window7_224": (32, 768, [(96, 8, 8), (192, 4, 4), (384, 2, 2), (768, 1, 1)]),
    "mixer_s32_224": (64, 512, [(512, 2, 2)] * 4),
    "regnetx_002": (32, 368, [(24, 8, 8), (56, 4, 4), (152, 2, 2), (368, 1, 1)]),
    "densenet121": (32, 1024, [(256, 8, 8), (512, 4, 4), (1024, 2, 2), (1024, 1, 1)]),
    "vgg11": (32, 4096, [(256, 8, 8), (512, 4, 4), (512, 2, 2), (512, 1, 1)]),
    "ghostnet_050": (32, 1280, [(12, 8, 8), (20, 4, 4), (40, 2, 2), (80, 1, 1)]),
    "dla34": (32, 512, [(64, 8, 8), (128, 4, 4), (256, 2, 2), (512, 1, 1)]),
    "cait_xxs24_224": (32, 192, [(192, 2, 2)] * 4),
    "poolformerv2_s12": (32, 512, [(64, 8, 8), (128, 4, 4), (320, 2, 2), (512, 1, 1)]),
    "hrnet_w18_small": (32, 2048, []),
    "resnet50_clip_gap": (32, 2048, [(256, 8, 8), (512, 4, 4), (1024, 2, 2), (2048, 1, 1)]),
    "vit_pe_spatial_tiny_patch16_512": (32, 192, [(192, 2, 2)] * 4),
    "deit_tiny_distilled_patch16_224": (32, 192, [(192, 2, 2)] * 4),
    "repvit_m0_9": (32, 384, [(48, 8, 8), (96, 4, 4), (192, 2, 2), (384, 1, 1)]),
    "swiftformer_xs": (32, 220, [(48, 8, 8), (56, 4, 4), (112, 2, 2), (220, 1, 1)]),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_has_logits_features_and_maps_and_learns(name: str) -> None:
    side, width, maps = FAMILIES[name]
    torch.manual_seed(0)
    entry = ARCHITECTURES[f"timm/{name}"]
    network = build_network(entry.name, 7, entry.with_image_size({}, (side, side)))
    outputs = FeatureExtractor(network, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))(
        torch.rand(2, 3, side, side)
    )
    assert (outputs.logits.shape, outputs.features.shape) == ((2, 7), (2, width))
    assert [tuple(feature_map.shape[1:]) for feature_map in outputs.feature_maps] == maps
    (outputs.logits - 1).square().mean().backward()
    layers = [network.module.get_submodule(name) for name in network.classifiers]
    assert all(
        layer.weight.grad is not None and layer.weight.grad.abs().sum() > 0 for layer in layers
    )


def test_the_features_are_the_input_of_the_classifier() -> None:
    torch.manual_seed(0)
    network = build_network("timm/mobilenetv3_small_050", 7)
    outputs = FeatureExtractor(network, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)).eval()(
        torch.rand(2, 3, 32, 32)
    )
    torch.testing.assert_close(
        network.module.get_submodule("classifier")(outputs.features), outputs.logits
    )


def test_the_quarters_of_a_short_sequence_are_all_its_layers() -> None:
    assert pick_quarters([str(number) for number in range(12)]) == ("2", "5", "8", "11")
    assert pick_quarters(["a", "b", "c"]) == ("a", "b", "c")
    assert pick_quarters([]) == ()


@pytest.mark.skipif(
    "DLKD_TEST_ALL_TIMM" not in os.environ, reason="a thousand networks: set DLKD_TEST_ALL_TIMM"
)
@pytest.mark.timeout(7200)
def test_every_network_runs_at_its_smallest_size() -> None:
    assert [name for name in ARCHITECTURES if name.startswith("timm/") and not _runs(name)] == []


def _runs(name: str) -> bool:
    entry = ARCHITECTURES[name]
    side = entry.min_size
    network = build_meta_network(name, 7, entry.with_image_size({}, (side, side)))
    extractor = FeatureExtractor(network, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)).eval().to("meta")
    with torch.no_grad():
        outputs = extractor(torch.empty(2, 3, side, side, device="meta"))
    return (
        outputs.logits.shape == (2, 7)
        and outputs.features.dim() == 2
        and all(feature_map.dim() == 4 for feature_map in outputs.feature_maps)
    )
