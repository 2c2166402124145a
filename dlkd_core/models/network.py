"""A network and the names of the layers that distillation uses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from dlkd_core.catalog import find_architecture
from dlkd_core.catalog.architectures.architecture import RGB_CHANNELS
from dlkd_core.common import import_target
from dlkd_core.models.input_channels import set_input_channels

# The layout of a block's output: (N, C, H, W) or (N, H, W, C). Tokens (N, prefix + H * W, C) with
# H = W are recognized by their number of dimensions.
TensorLayout = Literal["NCHW", "NHWC"]
MAX_BLOCKS = 4  # maximum for families whose blocks are detected in the module


@dataclass(frozen=True)
class Network:
    """A module and the names of its layers.

    Args:
        module: the network, which takes normalized images.
        classifier: name of the final classifier, whose input is the features.
        blocks: names of the blocks whose outputs are the feature maps, shallow to deep.
        layout: layout of the blocks' outputs.
        prefix_tokens: for blocks that return tokens, the number of tokens before those of the image
            (class token, registers).
        extra_classifiers: names of further classifiers whose logits are combined with those of the
            first, such as the distillation heads of DeiT and LeViT.
    """

    module: nn.Module
    classifier: str
    blocks: tuple[str, ...]
    layout: TensorLayout = "NCHW"
    prefix_tokens: int = 1
    extra_classifiers: tuple[str, ...] = ()

    @property
    def classifiers(self) -> tuple[str, ...]:
        """Names of all layers with one output per class, starting with the final classifier."""
        return self.classifier, *self.extra_classifiers


def build_network(
    architecture: str, num_classes: int, options: Mapping[str, Any] | None = None
) -> Network:
    """Build a network by its catalog name, initialized with torch's global random generator.

    Raises:
        UnknownChoice: there is no such architecture.
        pydantic.ValidationError: the architecture has no such options.
        SpecError: its first layer cannot be built for another number of channels.
    """
    entry = find_architecture(architecture)
    checked = entry.options.model_validate(dict(options or {}))
    network: Network = import_target(entry.target)(architecture, num_classes, checked)
    if checked.in_channels != RGB_CHANNELS:
        set_input_channels(network.module, checked.in_channels)
    return network


def count_parameters(module: nn.Module) -> int:
    """Return the number of parameters of a module."""
    return sum(parameter.numel() for parameter in module.parameters())


def pick_quarters(names: Sequence[str]) -> tuple[str, ...]:
    """Pick the layers at a quarter, half, three quarters and the end of a sequence of layers.

    This is for networks whose layers all have the same resolution. Returns all names if
    there are at most four.
    """
    count = len(names)
    if count <= MAX_BLOCKS:
        return tuple(names)
    return tuple(names[count * quarter // MAX_BLOCKS - 1] for quarter in range(1, MAX_BLOCKS + 1))
