"""What several of the CIFAR families are made of."""

import torch.nn.functional as F
from torch import Tensor, nn


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution without bias that keeps the size at stride 1."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)


def conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """That convolution and its batch normalisation."""
    return [conv(inputs, outputs, kernel, stride, groups), nn.BatchNorm2d(outputs)]


def global_pool(maps: Tensor) -> Tensor:
    """(N, C, H, W) to (N, C), the mean over each map of any size."""
    return F.adaptive_avg_pool2d(maps, 1).flatten(1)


def channel_shuffle(maps: Tensor, groups: int) -> Tensor:
    """The channels of the groups interleaved (Zhang et al. 2018, https://arxiv.org/abs/1707.01083, section 3.1)."""
    n, channels, height, width = maps.shape
    return maps.reshape(n, groups, channels // groups, height, width).transpose(1, 2).reshape(n, channels, height, width)


def init_convolutions(module: nn.Module) -> None:
    """Normal with variance 2 / (kernel area * output channels), biases zero (He et al. 2015, https://arxiv.org/abs/1502.01852)."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def init_classifier(layer: nn.Linear, std: float) -> None:
    """Weights normal with that deviation, biases zero."""
    nn.init.normal_(layer.weight, 0, std)
    nn.init.zeros_(layer.bias)
