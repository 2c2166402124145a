"""ResNets for small images: He et al. 2016, https://arxiv.org/abs/1512.03385, section 4.2.

Layer names and the x4 widths follow https://github.com/HobbitLong/RepDistiller, so that its
checkpoints load.
"""

from functools import partial
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from dlkd_core.catalog.architectures import CifarResNetOptions
from dlkd_core.models.cifar.layers import conv_norm, global_pool, init_convolutions, make_stage
from dlkd_core.models.network import Network

Shortcut = Literal["conv", "pad"]

# channels of the stem and of the three stages
_BASE_WIDTHS, _X4_WIDTHS = (16, 16, 32, 64), (32, 64, 128, 256)
_WIDTHS = {"resnet8x4": _X4_WIDTHS, "resnet32x4": _X4_WIDTHS}


class PadShortcut(nn.Module):
    """A shortcut without parameters (option A of the paper).

    It takes every stride-th pixel and pads the missing channels with zeros on both sides.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.before, self.after = (outputs - inputs) // 2, (outputs - inputs + 1) // 2

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.before, self.after))


def _make_shortcut(kind: Shortcut, inputs: int, outputs: int, stride: int) -> nn.Module | None:
    if stride == 1 and inputs == outputs:
        return None
    if kind == "conv":
        return nn.Sequential(*conv_norm(inputs, outputs, 1, stride))
    return PadShortcut(inputs, outputs, stride)


class BasicBlock(nn.Module):
    """A block of two 3x3 convolutions with a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_norm(inputs, outputs, 3, stride)
        self.conv2, self.bn2 = conv_norm(outputs, outputs, 3)
        self.downsample = _make_shortcut(shortcut, inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + (x if self.downsample is None else self.downsample(x)))


class CifarResNet(nn.Module):
    """A network with a stem, three stages of (depth - 2) / 6 blocks and a classifier."""

    def __init__(
        self, depth: int, widths: tuple[int, ...], num_classes: int, shortcut: Shortcut
    ) -> None:
        super().__init__()
        stem, *stages = widths
        blocks = (depth - 2) // 6
        self.conv1, self.bn1 = conv_norm(3, stem, 3)
        make_block = partial(BasicBlock, shortcut=shortcut)
        self.layer1 = make_stage(make_block, stem, stages[0], blocks, 1)
        self.layer2 = make_stage(make_block, stages[0], stages[1], blocks, 2)
        self.layer3 = make_stage(make_block, stages[1], stages[2], blocks, 2)
        self.fc = nn.Linear(stages[2], num_classes)
        init_convolutions(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes) for images (N, 3, H, W)."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.fc(global_pool(x))
        return logits


def build(name: str, num_classes: int, options: CifarResNetOptions) -> Network:
    """Build a ResNet by name.

    `resnet20` has depth 20. `resnet8x4` has depth 8 and four times the width.
    """
    depth = int(name.removeprefix("resnet").partition("x")[0])
    widths = tuple(options.width * width for width in _WIDTHS.get(name, _BASE_WIDTHS))
    module = CifarResNet(depth, widths, num_classes, options.shortcut)
    return Network(module, "fc", ("layer1", "layer2", "layer3"))
