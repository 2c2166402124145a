"""First layers for images with other channels than red, green and blue."""

from typing import Any

import torch
from torch import nn

from dlkd_core.catalog.architectures.architecture import RGB_CHANNELS
from dlkd_core.errors import SpecError


def set_input_channels(module: nn.Module, channels: int) -> None:
    """Replace the first convolution of an RGB network by one for images with `channels` channels.

    A network for grayscale images computes what it computed for the same images in RGB: its first
    weights are the sums over the channels. Otherwise, the weights of the three channels are
    repeated and scaled so that the sums stay about the same, as timm does.

    Raises:
        SpecError: the network does not start with a convolution of RGB images.
    """
    name, layer = next(
        (
            (name, layer)
            for name, layer in module.named_modules()
            if isinstance(layer, nn.Conv2d) and layer.in_channels == RGB_CHANNELS
        ),
        (None, None),
    )
    if name is None or layer is None or layer.groups > 1:
        raise SpecError(
            f"This architecture does not take images with {channels} channels, because it does not"
            " start with a convolution of RGB images.",
            hint="Use another architecture, or set dataset.channels to 3.",
            pointer="/student/architecture",
        )
    with torch.no_grad():
        layer.weight = nn.Parameter(_adapt_weights(layer.weight, channels))
    layer.in_channels = channels


def _adapt_weights(weight: torch.Tensor, channels: int) -> torch.Tensor:
    """Convert weights (outputs, 3, height, width) to (outputs, channels, height, width)."""
    if channels == 1:
        return weight.sum(dim=1, keepdim=True)
    repeats: Any = -(-channels // RGB_CHANNELS)
    repeated = weight.repeat(1, repeats, 1, 1)[:, :channels]
    return repeated * (RGB_CHANNELS / channels)
