"""A trained student, independent of how it was trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dlkd_core.catalog.channels import input_channels
from dlkd_core.models import Network, build_network
from dlkd_core.spec import DEFAULT_RESIZE, Normalization, ResizeMode


@dataclass(frozen=True)
class Student:
    """The weights of a student, with all metadata that is needed to use them.

    Attributes:
        architecture: Name of the architecture in the catalog.
        options: Architecture options, including defaults.
        classes: Class names in label order.
        normalization: Input normalization.
        size: Height and width of the images.
        weights: State dict of the network.
        resize: Resize mode for images of another size.
        has_trained_classifier: Whether the classifier was trained, too, or only the layers before
            it.
    """

    architecture: str
    options: Mapping[str, Any]
    classes: tuple[str, ...]
    normalization: Normalization
    size: tuple[int, int]
    weights: Mapping[str, Tensor]
    resize: ResizeMode = DEFAULT_RESIZE
    has_trained_classifier: bool = True

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the images."""
        height, width = self.size
        return input_channels(self.options), height, width

    def build_network(self) -> Network:
        """Build a new network with these weights, on the CPU, in evaluation mode."""
        # The random initial weights are discarded, so they must not advance the caller's generator.
        with torch.random.fork_rng(devices=[]):
            network = build_network(self.architecture, len(self.classes), self.options)
        network.module.load_state_dict(dict(self.weights))
        network.module.eval()
        return network

    def build_deployable(self) -> "DeployableModel":
        """Build a module that normalizes images in [0, 1] and maps them to logits."""
        return DeployableModel(self.build_network().module, self.normalization)


class DeployableModel(nn.Module):
    """A network that includes its normalization.

    It maps images (N, C, H, W) in [0, 1] to logits (N, classes).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, normalization: Normalization) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(normalization.mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(normalization.std).view(1, -1, 1, 1))
        self.eval()

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.network((image - self.mean) / self.std)
        return logits
