"""Residual networks for small images: He et al. 2016, https://arxiv.org/abs/1512.03385, section 4.2.

Layer names, and the x4 widths, are those of https://github.com/HobbitLong/RepDistiller, so that its checkpoints load.
"""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from dlkd_core.catalog.architectures import CifarResNetOptions
from dlkd_core.models.layers import conv_norm, global_pool, init_convolutions
from dlkd_core.models.network import Network

Shortcut = Literal["conv", "pad"]

_PLAIN, _TIMES_FOUR = (16, 16, 32, 64), (32, 64, 128, 256)  # channels of the stem and of the three stages
_WIDTHS = {"resnet8x4": _TIMES_FOUR, "resnet32x4": _TIMES_FOUR}


class PadShortcut(nn.Module):
    """Every stride-th pixel, and zeros for the missing channels on both sides: option A, without parameters."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride, self.before, self.after = stride, (outputs - inputs) // 2, (outputs - inputs + 1) // 2

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.before, self.after))


def _shortcut(kind: Shortcut, inputs: int, outputs: int, stride: int) -> nn.Module | None:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(*conv_norm(inputs, outputs, 1, stride)) if kind == "conv" else PadShortcut(inputs, outputs, stride)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_norm(inputs, outputs, 3, stride)
        self.conv2, self.bn2 = conv_norm(outputs, outputs, 3)
        self.downsample = _shortcut(shortcut, inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + (x if self.downsample is None else self.downsample(x)))


class CifarResNet(nn.Module):
    """A stem, three stages of (depth - 2) / 6 blocks, and a classifier."""

    def __init__(self, depth: int, widths: tuple[int, ...], num_classes: int, shortcut: Shortcut) -> None:
        super().__init__()
        stem, *stages = widths
        blocks = (depth - 2) // 6
        self.conv1, self.bn1 = conv_norm(3, stem, 3)
        self.layer1 = _stage(stem, stages[0], blocks, 1, shortcut)
        self.layer2 = _stage(stages[0], stages[1], blocks, 2, shortcut)
        self.layer3 = _stage(stages[1], stages[2], blocks, 2, shortcut)
        self.fc = nn.Linear(stages[2], num_classes)
        init_convolutions(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, num_classes)."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.fc(global_pool(x))
        return logits


def _stage(inputs: int, outputs: int, blocks: int, stride: int, shortcut: Shortcut) -> nn.Sequential:
    first = BasicBlock(inputs, outputs, stride, shortcut)
    return nn.Sequential(first, *(BasicBlock(outputs, outputs, 1, shortcut) for _ in range(blocks - 1)))


def build(name: str, num_classes: int, options: CifarResNetOptions) -> Network:
    """`resnet20`: depth 20; `resnet8x4`: depth 8, four times the width."""
    depth = int(name.removeprefix("resnet").partition("x")[0])
    widths = tuple(options.width * width for width in _WIDTHS.get(name, _PLAIN))
    module = CifarResNet(depth, widths, num_classes, options.shortcut)
    return Network(module, "fc", ("layer1", "layer2", "layer3"))
