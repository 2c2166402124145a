"""Wraps networks: normalizes their input and uses hooks to return features and feature maps."""

from collections.abc import Sequence
from math import isqrt
from typing import Any

import torch
from torch import Tensor, nn

from dlkd_core.models.network import Network, TensorLayout
from dlkd_core.network_outputs import Outputs


class FeatureExtractor(nn.Module):
    """Normalizes images, runs a network on them and returns its `Outputs`.

    The network itself is not changed. Deep copies, and several extractors of the same network, do
    not interfere with each other.

    Args:
        network: module and layer names.
        mean: mean per channel of images in [0, 1].
        std: standard deviation per channel of images in [0, 1].
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: Network, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.network = network.module
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)
        self._blocks, self._layout = network.blocks, network.layout
        self._prefix_tokens = network.prefix_tokens
        self._classifier = network.classifier
        self._captured = _Captured()
        for name in network.blocks:
            self.network.get_submodule(name).register_forward_hook(
                _OutputHook(self._captured, name)
            )
        self.network.get_submodule(network.classifier).register_forward_pre_hook(
            _InputHook(self._captured)
        )

    @property
    def classifier(self) -> nn.Module:
        """The final classifier, whose input is the features."""
        return self.network.get_submodule(self._classifier)

    def forward(self, images: Tensor) -> Outputs:
        """Return the outputs for images (N, 3, H, W), float in [0, 1]."""
        captured = self._captured.tensors = {}
        try:
            logits = self.network((images - self.mean) / self.std)
        finally:
            self._captured.tensors = None
        maps = tuple(
            _to_map(captured[name], self._layout, self._prefix_tokens) for name in self._blocks
        )
        return Outputs(logits, _pool_features(captured["features"]), maps)

    def logits(self, images: Tensor) -> Tensor:
        """Return only the logits, (N, classes)."""
        return self.forward(images).logits


class HeadlessFeatureExtractor(FeatureExtractor):
    """An extractor for backbones with an untrained classifier. It returns empty logits, (N, 0)."""

    def forward(self, images: Tensor) -> Outputs:
        """Return the outputs for images (N, 3, H, W), float in [0, 1]."""
        outputs = super().forward(images)
        return outputs._replace(logits=outputs.logits[:, :0])


class _Captured:
    """The tensors that the hooks captured during a forward pass.

    `tensors` is None between forward passes, so that no tensors are kept alive.
    """

    tensors: dict[str, Tensor] | None = None


class _OutputHook:
    """A hook that captures a block's output.

    It is an object instead of a closure, so that deep copies of the network do not share captures.
    """

    def __init__(self, captured: _Captured, name: str) -> None:
        self.captured, self.name = captured, name

    def __call__(self, _module: nn.Module, _inputs: tuple[Tensor, ...], output: Any) -> None:
        tensor = first_tensor(output)
        if self.captured.tensors is not None and tensor is not None:
            self.captured.tensors[self.name] = tensor


def first_tensor(output: Any) -> Tensor | None:
    """Return a module's output, or the first one of several, or None if that is no tensor.

    The blocks of transformers return several.
    """
    first = output[0] if isinstance(output, tuple) and output else output
    return first if isinstance(first, Tensor) else None


class _InputHook:
    """A hook that captures the classifier's input."""

    def __init__(self, captured: _Captured) -> None:
        self.captured = captured

    def __call__(self, _module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if self.captured.tensors is not None:
            self.captured.tensors["features"] = inputs[0]


def _pool_features(features: Tensor) -> Tensor:
    """Return features (N, width).

    The input of a convolutional classifier (SqueezeNet) is a feature map, which is averaged.
    """
    return features.mean(dim=(2, 3)) if features.dim() == 4 else features


def _to_map(output: Tensor, layout: TensorLayout, prefix_tokens: int) -> Tensor:
    """Return a block's output as a feature map (N, C, H, W)."""
    if output.dim() == 3:
        # Some networks add their class token after this block.
        has_prefix = isqrt(output.shape[1]) ** 2 != output.shape[1]
        tokens = output[:, prefix_tokens:] if has_prefix else output
        side = isqrt(tokens.shape[1])
        return tokens.transpose(1, 2).reshape(len(tokens), -1, side, side)
    return output.permute(0, 3, 1, 2) if layout == "NHWC" else output
