"""Layers and weight initializations that several CIFAR families share."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """Return a convolution without bias that preserves the image size if the stride is 1."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)


def conv_norm(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    """Return a convolution without bias, followed by batch normalization."""
    return [conv(inputs, outputs, kernel, stride, groups), nn.BatchNorm2d(outputs)]


def make_stage(
    make_block: Callable[[int, int, int], nn.Module],
    inputs: int,
    outputs: int,
    count: int,
    stride: int,
) -> nn.Sequential:
    """Return a stage of blocks. Only the first block changes the number of channels and the size.

    `make_block` takes the number of input channels, the number of output channels and the stride.
    """
    rest = (make_block(outputs, outputs, 1) for _ in range(count - 1))
    return nn.Sequential(make_block(inputs, outputs, stride), *rest)


def global_pool(maps: Tensor) -> Tensor:
    """Average each feature map, whatever its size: (N, C, H, W) -> (N, C)."""
    return F.adaptive_avg_pool2d(maps, 1).flatten(1)


def channel_shuffle(maps: Tensor, groups: int) -> Tensor:
    """Interleave the channels of the groups.

    Zhang et al. 2018, https://arxiv.org/abs/1707.01083, section 3.1.
    """
    n, channels, height, width = maps.shape
    return (
        maps.reshape(n, groups, channels // groups, height, width)
        .transpose(1, 2)
        .reshape(n, channels, height, width)
    )


def init_convolutions(module: nn.Module) -> None:
    """Initialize convolutions: normal with variance 2 / (kernel area * output channels), zero bias.

    He et al. 2015, https://arxiv.org/abs/1502.01852.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def init_classifier(layer: nn.Linear, std: float) -> None:
    """Initialize a linear layer: normal with standard deviation `std`, zero bias."""
    nn.init.normal_(layer.weight, 0, std)
    nn.init.zeros_(layer.bias)
