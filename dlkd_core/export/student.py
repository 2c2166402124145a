"""A trained student on its own: what an exporter needs, and nothing of how it was trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dlkd_core.models import Network, build
from dlkd_core.spec import DEFAULT_RESIZE, Normalization, Resize


@dataclass(frozen=True)
class Student:
    """Weights with what is needed to use them."""

    architecture: str
    options: Mapping[str, Any]
    classes: tuple[str, ...]
    normalization: Normalization
    size: tuple[int, int]  # height and width of its images
    weights: Mapping[str, Tensor]
    resize: Resize = DEFAULT_RESIZE  # how images of another size become this one
    trained_classifier: bool = True  # some methods train features alone

    def network(self) -> Network:
        """A network of its own, on the CPU, in evaluation mode."""
        with torch.random.fork_rng(devices=[]):  # the weights drawn here are thrown away: leave the caller's generator alone
            network = build(self.architecture, len(self.classes), self.options)
        network.module.load_state_dict(dict(self.weights))
        network.module.eval()
        return network

    def deployable(self) -> "Deployable":
        """Images in [0, 1] to logits, with the normalisation inside."""
        return Deployable(self.network().module, self.normalization)


class Deployable(nn.Module):
    """A network with its normalisation: images (N, 3, H, W) float in [0, 1] to logits (N, classes)."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, normalization: Normalization) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(normalization.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(normalization.std).view(1, 3, 1, 1))
        self.eval()

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.network((image - self.mean) / self.std)
        return logits
