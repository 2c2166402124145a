"""A network and the names of the layers that distillation looks at."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from dlkd_core.catalog import find_architecture
from dlkd_core.resolve import resolve

# How a block gives its output: (N, C, H, W) or (N, H, W, C). Tokens (N, prefix + H * W, C), with H = W, are known by their shape.
Layout = Literal["NCHW", "NHWC"]


@dataclass(frozen=True)
class Network:
    """A module, the name of its final classifier (whose input is the features) and of its blocks (whose outputs are the maps).

    A network may have companions of its classifier, whose logits go into its own: DeiT's and LeViT's distillation heads do.
    """

    module: nn.Module
    classifier: str
    blocks: tuple[str, ...]
    layout: Layout = "NCHW"
    prefix_tokens: int = 1  # of blocks that give tokens: those that stand before the image's (class, registers)
    companions: tuple[str, ...] = ()

    @property
    def classifiers(self) -> tuple[str, ...]:
        """Every layer whose size is the number of classes, the one that sees the features first."""
        return self.classifier, *self.companions


def build(architecture: str, num_classes: int, options: Mapping[str, Any] | None = None) -> Network:
    """The network of that catalog name, freshly initialised from torch's global generator.

    UnknownChoice for another name, pydantic's ValidationError for options that the architecture does not have.
    """
    entry = find_architecture(architecture)
    checked = entry.options.model_validate(dict(options or {}))
    network: Network = resolve(entry.target)(architecture, num_classes, checked)
    return network
