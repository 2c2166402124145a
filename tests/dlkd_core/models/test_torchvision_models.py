"""Tests that every torchvision classifier in the catalog can be built and exposes its outputs.

The networks are built on the meta device, which computes shapes without allocating memory.
"""

from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import Tensor, nn

from dlkd_core.catalog import ARCHITECTURES
from dlkd_core.models import FeatureExtractor, Network
from dlkd_core.models.meta_network import build_meta_network

NAMES = [name for name, entry in ARCHITECTURES.items() if entry.family == "torchvision"]
CLASSES = 7


def test_the_catalog_lists_every_torchvision_classifier() -> None:
    torchvision_names = set(torchvision.models.list_models(module=torchvision.models))
    assert {name.removeprefix("torchvision_") for name in NAMES} == torchvision_names
    shared_names = {
        name for name, entry in ARCHITECTURES.items() if entry.family not in {"torchvision", "timm"}
    } & torchvision_names
    assert {name for name in NAMES if name.startswith("torchvision_")} == {
        f"torchvision_{name}" for name in shared_names
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_network_has_logits_features_and_maps_for_the_smallest_image(name: str) -> None:
    network, side = build_meta_network(name, CLASSES), ARCHITECTURES[name].min_size
    extractor = FeatureExtractor(network, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)).eval().to("meta")
    overwritten_blocks = _watch_blocks(network)

    with torch.no_grad():
        logits, features, maps = extractor(torch.empty(2, 3, side, side, device="meta"))

    assert logits.shape == (2, CLASSES)
    assert features.shape == (2, _classifier_width(network))
    assert [(feature_map.dim(), feature_map.shape[0]) for feature_map in maps] == [(4, 2)] * len(
        network.blocks
    )
    sides = [feature_map.shape[2] for feature_map in maps]
    assert len(sides) >= 3
    assert all(feature_map.shape[2] == feature_map.shape[3] for feature_map in maps)
    assert sides == sorted(sides, reverse=True)
    assert overwritten_blocks() == []


ONE_PER_FAMILY = [
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "googlenet",
    "inception_v3",
    "squeezenet1_0",
    "squeezenet1_1",
    "vgg11_bn",
]


@pytest.mark.parametrize("name", ONE_PER_FAMILY)
def test_an_image_one_pixel_below_the_smallest_size_does_not_run(name: str) -> None:
    _assert_does_not_run(name, ARCHITECTURES[name].min_size - 1)


@pytest.mark.parametrize("name", ["maxvit_t", "vit_b_16"])
def test_an_image_one_pixel_above_the_largest_size_does_not_run(name: str) -> None:
    largest = ARCHITECTURES[name].max_size
    assert largest == ARCHITECTURES[name].min_size
    _assert_does_not_run(name, largest + 1)


def _assert_does_not_run(name: str, side: int) -> None:
    module = build_meta_network(name, CLASSES).module.eval().to("meta")
    with pytest.raises((RuntimeError, AssertionError, ValueError)):
        module(torch.empty(2, 3, side, side, device="meta"))


def _classifier_width(network: Network) -> int:
    layer = network.module.get_submodule(network.classifier)
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    return layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels


def _watch_blocks(network: Network) -> Callable[[], list[str]]:
    """Return a function that lists the blocks whose outputs were changed in place by a later layer.

    A loss on such a block would not see the values that the block returned.
    """
    captured: dict[str, tuple[Tensor, int]] = {}
    for name in network.blocks:
        network.module.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: captured.update(
                {name: (output, output._version)}
            )
        )
    return lambda: [
        name for name, (output, version) in captured.items() if output._version != version
    ]
