"""Check of an uploaded network: one batch of images must give finite outputs."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dlkd_core.catalog import find_architecture
from dlkd_core.catalog.architectures.timm_architectures import TIMM_MODEL_INFO, TIMM_PREFIX
from dlkd_core.catalog.architectures.torchvision_architectures import TORCHVISION_ARCHITECTURES
from dlkd_core.catalog.channels import input_channels
from dlkd_core.errors import CheckpointRefused
from dlkd_core.models import FeatureExtractor, Network
from dlkd_core.teachers.transformers.transformers_network import TransformersNetwork

_BATCH_SIZE = 2
_MEAN, _STD = 0.5, 0.25
_CIFAR_SIDE, _TORCHVISION_SIDE = 32, 224
_TORCHVISION_NAMES = {entry.name for entry in TORCHVISION_ARCHITECTURES}


@torch.no_grad()
def check_outputs(
    network: Network, architecture: str, options: Mapping[str, Any], num_classes: int
) -> None:
    """Run a network on random images of its default size.

    Args:
        network: The network with its weights, in evaluation mode.
        architecture: Name in the catalog.
        options: Complete architecture options.
        num_classes: Number of classes, or 0 if the logits are not used.

    Raises:
        CheckpointRefused: The network cannot be run, its logits have another shape than expected,
            or an output contains NaN or infinity.
    """
    module = network.module
    if isinstance(module, TransformersNetwork):
        side = module.sides[0]
    else:
        side = default_image_side(architecture, options)
    channels = input_channels(options)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(_BATCH_SIZE, channels, side, side, generator=generator)
    try:
        outputs = FeatureExtractor(network, [_MEAN] * channels, [_STD] * channels).eval()(images)
    except RuntimeError as error:
        raise CheckpointRefused(
            f"{architecture} cannot be run with these weights: {error}.",
            hint="Export the network to ONNX, and upload the ONNX file.",
        ) from error
    logits = outputs.logits[:, :num_classes]
    if logits.shape != (_BATCH_SIZE, num_classes):
        raise CheckpointRefused(
            f"The logits of {_BATCH_SIZE} images have the shape {tuple(logits.shape)} instead of"
            f" {(_BATCH_SIZE, num_classes)}."
        )
    if not all(map(_is_finite, (logits, outputs.features, *outputs.feature_maps))):
        layer = _find_first_bad_layer(module, (images - _MEAN) / _STD)
        raise CheckpointRefused(
            f"The outputs of {architecture} for images of {side} x {side} pixels contain NaN or"
            f" infinity, first in the output of {layer}.",
            hint="The training of this network diverged, or its weights are too large. Send an"
            " earlier checkpoint.",
        )


def default_image_side(architecture: str, options: Mapping[str, Any]) -> int:
    """Return the side length, in pixels, of the images for which a network was published."""
    entry = find_architecture(architecture)
    if options.get("image_size"):
        return int(options["image_size"])
    if architecture.startswith(TIMM_PREFIX):
        return TIMM_MODEL_INFO[architecture.removeprefix(TIMM_PREFIX)].image_size
    is_small = architecture not in _TORCHVISION_NAMES or options.get("stem") == "cifar"
    published = _CIFAR_SIDE if is_small else _TORCHVISION_SIDE
    return max(entry.min_size, min(published, entry.max_size or published))


def _is_finite(tensor: Tensor) -> bool:
    return bool(tensor.isfinite().all())


def _find_first_bad_layer(module: nn.Module, images: Tensor) -> str:
    """Return the name of the first layer whose output is not finite."""
    bad: list[str] = []
    handles = [
        layer.register_forward_hook(_record_bad_output(name, bad))
        for name, layer in module.named_modules()
        if name
    ]
    module(images)
    for handle in handles:
        handle.remove()
    return bad[0] if bad else "the network"


def _record_bad_output(name: str, bad: list[str]) -> Any:
    def record(_layer: nn.Module, _inputs: tuple[Any, ...], output: Any) -> None:
        if isinstance(output, Tensor) and not _is_finite(output):
            bad.append(name)

    return record
