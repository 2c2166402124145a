"""Every torchvision classifier of the catalog: it resolves, builds and shows its outputs.

On the meta device: shapes without memory or sums.
"""

from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import Tensor, nn

from dlkd_core.catalog import ARCHITECTURES
from dlkd_core.models import Network, Tapped
from dlkd_core.models.skeleton import skeleton

NAMES = [name for name, entry in ARCHITECTURES.items() if entry.family == "torchvision"]
CLASSES = 7


def test_the_catalog_lists_what_torchvision_has() -> None:
    theirs = set(torchvision.models.list_models(module=torchvision.models))
    assert {name.removeprefix("torchvision_") for name in NAMES} == theirs
    both = {name for name, entry in ARCHITECTURES.items() if entry.family not in {"torchvision", "timm"}} & theirs
    assert {name for name in NAMES if name.startswith("torchvision_")} == {f"torchvision_{name}" for name in both}


@pytest.mark.parametrize("name", NAMES)
def test_it_shows_logits_features_and_maps_of_the_smallest_image(name: str) -> None:
    network, side = skeleton(name, CLASSES), ARCHITECTURES[name].min_size
    tapped = Tapped(network, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)).eval().to("meta")
    changed = _watch(network)

    with torch.no_grad():
        logits, features, maps = tapped(torch.empty(2, 3, side, side, device="meta"))

    assert logits.shape == (2, CLASSES)
    assert features.shape == (2, _classifier_width(network))
    assert [(map_.dim(), map_.shape[0]) for map_ in maps] == [(4, 2)] * len(network.blocks)
    sides = [map_.shape[2] for map_ in maps]
    assert len(sides) >= 3
    assert all(map_.shape[2] == map_.shape[3] for map_ in maps)
    assert sides == sorted(sides, reverse=True)
    assert changed() == []


ONE_OF_EACH = [
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "googlenet",
    "inception_v3",
    "squeezenet1_0",
    "squeezenet1_1",
    "vgg11_bn",
]


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_one_pixel_less_than_the_smallest_image_does_not_run(name: str) -> None:
    _does_not_run(name, ARCHITECTURES[name].min_size - 1)


@pytest.mark.parametrize("name", ["maxvit_t", "vit_b_16"])
def test_one_pixel_more_than_the_largest_image_does_not_run(name: str) -> None:
    largest = ARCHITECTURES[name].max_size
    assert largest == ARCHITECTURES[name].min_size
    _does_not_run(name, largest + 1)


def _does_not_run(name: str, side: int) -> None:
    module = skeleton(name, CLASSES).module.eval().to("meta")
    with pytest.raises((RuntimeError, AssertionError, ValueError)):
        module(torch.empty(2, 3, side, side, device="meta"))


def _classifier_width(network: Network) -> int:
    layer = network.module.get_submodule(network.classifier)
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    return layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels


def _watch(network: Network) -> Callable[[], list[str]]:
    """The names of the blocks whose outputs a later layer wrote over: a term would see other values than the block gave."""
    seen: dict[str, tuple[Tensor, int]] = {}
    for name in network.blocks:
        network.module.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: seen.update({name: (output, output._version)})
        )
    return lambda: [name for name, (output, version) in seen.items() if output._version != version]
