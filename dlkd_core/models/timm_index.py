"""Generates the timm index, `dlkd_core/catalog/architectures/timm_architectures.json`.

Run this module to regenerate the index from the installed timm, which takes a few minutes. Each
network is built and run on the meta device at increasing image sizes, so everything in the index is
measured. The index excludes networks for which timm names no classifier layer or more than two,
networks whose classifier does not receive features, and networks that do not accept images with
three channels.
"""

import json
import warnings
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import timm
import torch
from torch import nn

from dlkd_core.catalog.architectures import ArchitectureOptions, ResizableOptions
from dlkd_core.catalog.architectures.timm_architectures import TIMM_FILE, SizePolicy, TimmModelInfo
from dlkd_core.errors import SpecError
from dlkd_core.models.feature_extractor import FeatureExtractor
from dlkd_core.models.meta_network import MetaWeightsMode
from dlkd_core.models.network import Network, count_parameters
from dlkd_core.models.timm_models import create_timm_module, wrap_timm_module
from dlkd_core.network_outputs import Outputs

_MAX_CLASSIFIERS = 2
_PROBE_SIDES = (8, 16, 32, 48, 64, 96, 112, 128, 160, 192, 224, 256, 288)
_LARGE_SIDE = 64  # no network turns such an image into a single token
# errors that networks raise if they do not support an image size or the meta device
_PROBE_ERRORS = (
    RuntimeError,
    ValueError,
    TypeError,
    AssertionError,
    LookupError,
    ArithmeticError,
    AttributeError,
    SpecError,
)


def build_index() -> str:
    """Return the content of the file, with one line per network."""
    infos = {name: probe_network(name) for name in indexable_names()}
    lines = [f"{json.dumps(name)}: {json.dumps(info)}" for name, info in infos.items() if info]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def indexable_names() -> Iterator[str]:
    """Iterate over timm's networks that take RGB images and have one or two classifiers."""
    for name in timm.list_models():
        config: Any = timm.get_pretrained_cfg(name)
        layers = config and config.classifier
        if (
            layers
            and (isinstance(layers, str) or len(layers) <= _MAX_CLASSIFIERS)
            and config.input_size[0] == 3
        ):
            yield name


def probe_network(name: str) -> TimmModelInfo | None:
    """Run a network on the meta device and return its index entry.

    Returns None if the network does not run or its classifier does not receive features.
    """
    config: Any = timm.get_pretrained_cfg(name)
    side = config.input_size[1]
    network = _try_create(name, None)
    if network is None:
        return None
    modules = dict(network.module.named_modules())
    # Some encoders name a classifier layer that does not exist.
    classifiers = [modules.get(layer, network.module) for layer in network.classifiers]
    if not all(isinstance(layer, nn.Linear | nn.Conv2d) for layer in classifiers):
        return None
    has_feature_maps = _runs_at(network, side)
    if not has_feature_maps and not _runs_at(_without_maps(network), side):
        return None
    min_size, size_policy = _probe_sizes(name, _without_maps(network), side)
    return TimmModelInfo(
        side,
        min_size,
        size_policy,
        bool(config.has_weights),
        count_parameters(network.module) - sum(map(count_parameters, classifiers)),
        has_feature_maps,
    )


def _probe_sizes(name: str, network: Network, side: int) -> tuple[int, SizePolicy]:
    """Return the smallest side length of an image, and how the network supports other sizes.

    CHOSEN means that a network must be built for a specific size. ANY means that the same network
    runs on images of several sizes.
    """
    smaller_sides = [smaller for smaller in _PROBE_SIDES if smaller < side]
    for smaller in smaller_sides:
        if _runs_at_other_sizes(network, smaller, side):
            return smaller, SizePolicy.ANY
    for smaller in smaller_sides:
        if _runs_at(_try_create(name, smaller), smaller):
            return smaller, SizePolicy.CHOSEN
    return side, SizePolicy.FIXED


def _runs_at_other_sizes(network: Network, small_side: int, side: int) -> bool:
    """Return whether a network built for side length `side` also runs at two other side lengths.

    One of them is `small_side`. Running at a single other side length proves nothing, because a
    position table may match it by coincidence. The other one is much larger, because a single
    token matches every position table and two small images may both become one.
    """
    large_side = max(2 * small_side, _LARGE_SIDE)
    return _runs_at(network, small_side) and any(
        _runs_at(network, other) for other in _PROBE_SIDES if large_side <= other != side
    )


def _without_maps(network: Network) -> Network:
    return Network(network.module, network.classifier, ())


def _try_create(name: str, side: int | None) -> Network | None:
    options = ArchitectureOptions() if side is None else ResizableOptions(image_size=side)
    with suppress(*_PROBE_ERRORS), MetaWeightsMode():
        module = create_timm_module(name, options, pretrained=False, num_classes=2)
        return wrap_timm_module(module, maps=True)
    return None


def _runs_at(network: Network | None, side: int) -> bool:
    """Return whether the outputs for square images of this side length have the expected shapes."""
    if network is None:
        return False
    try:
        extractor = FeatureExtractor(network, (0, 0, 0), (1, 1, 1)).eval().to("meta")
        with torch.no_grad():
            outputs: Outputs = extractor(torch.zeros(2, 3, side, side, device="meta"))
    except _PROBE_ERRORS:
        return False
    if outputs.logits.shape != (2, 2) or outputs.features.dim() != 2:
        return False
    return all(maps.dim() == 4 and len(maps) == 2 for maps in outputs.feature_maps)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    TIMM_FILE.write_text(build_index())
