"""A network that takes plain images and shows logits, features and maps: normalisation inside, taps by hooks."""

from collections.abc import Sequence
from math import isqrt

import torch
from torch import Tensor, nn

from dlkd_core.models.network import Layout, Network
from dlkd_core.outputs import Outputs


class Tapped(nn.Module):
    """Wraps a network without rewriting it. Copies and several wraps of one network do not disturb each other.

    Args:
        network: module and layer names.
        mean, std: per channel of images in [0, 1].
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: Network, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.network = network.module
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)
        self._blocks, self._layout, self._prefix = network.blocks, network.layout, network.prefix_tokens
        self._seen = _Seen()
        for name in network.blocks:
            self.network.get_submodule(name).register_forward_hook(_OutputTap(self._seen, name))
        self.network.get_submodule(network.classifier).register_forward_pre_hook(_InputTap(self._seen))

    def forward(self, images: Tensor) -> Outputs:
        """Images (N, 3, H, W), float in [0, 1]."""
        seen = self._seen.tensors = {}
        try:
            logits = self.network((images - self.mean) / self.std)
        finally:
            self._seen.tensors = None
        return Outputs(logits, _pooled(seen["features"]), self._maps(seen))

    def _maps(self, seen: dict[str, Tensor]) -> tuple[Tensor, ...]:
        return tuple(_as_map(seen[name], self._layout, self._prefix) for name in self._blocks)

    def logits(self, images: Tensor) -> Tensor:
        """The logits alone, (N, classes)."""
        return self.forward(images).logits


class Headless(Tapped):
    """A network whose classifier is not its own, and is not shown: its logits are (N, 0)."""

    def forward(self, images: Tensor) -> Outputs:
        """Images (N, 3, H, W), float in [0, 1]."""
        outputs = super().forward(images)
        return outputs._replace(logits=outputs.logits[:, :0])


class _Seen:
    """What the taps saw during one forward pass; None between passes, so that nothing is kept alive."""

    tensors: dict[str, Tensor] | None = None


class _OutputTap:
    """A hook that keeps a block's output. An object, not a closure: a deep copy of the network taps into its own copy."""

    def __init__(self, seen: _Seen, name: str) -> None:
        self.seen, self.name = seen, name

    def __call__(self, _module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if self.seen.tensors is not None:
            self.seen.tensors[self.name] = output


class _InputTap:
    """A hook that keeps the classifier's input."""

    def __init__(self, seen: _Seen) -> None:
        self.seen = seen

    def __call__(self, _module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if self.seen.tensors is not None:
            self.seen.tensors["features"] = inputs[0]


def _pooled(features: Tensor) -> Tensor:
    """(N, width). A convolutional classifier (SqueezeNet) sees a map: its pooled mean is the feature."""
    return features.mean(dim=(2, 3)) if features.dim() == 4 else features


def _as_map(output: Tensor, layout: Layout, prefix: int) -> Tensor:
    """(N, C, H, W), whatever the block's layout."""
    if output.dim() == 3:
        tokens = output if _is_square(output.shape[1]) else output[:, prefix:]  # some networks add their class token later
        side = isqrt(tokens.shape[1])
        return tokens.transpose(1, 2).reshape(len(tokens), -1, side, side)
    return output.permute(0, 3, 1, 2) if layout == "NHWC" else output


def _is_square(count: int) -> bool:
    return isqrt(count) ** 2 == count
