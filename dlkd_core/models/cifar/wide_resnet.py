"""Wide residual networks: Zagoruyko and Komodakis 2016, https://arxiv.org/abs/1605.07146.

Layer names follow https://github.com/HobbitLong/RepDistiller, so that its checkpoints load.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from dlkd_core.catalog.architectures import ArchitectureOptions, WideResNetOptions
from dlkd_core.errors import SpecError
from dlkd_core.models.cifar.layers import conv, global_pool, init_convolutions, make_stage
from dlkd_core.models.network import Network


class WideBlock(nn.Module):
    """A block that applies batch norm, ReLU and a 3x3 convolution twice.

    If the width changes, the shortcut is a convolution of the activated input.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = conv(inputs, outputs, 3, stride)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = conv(outputs, outputs, 3)
        self.convShortcut = conv(inputs, outputs, 1, stride) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        active = F.relu(self.bn1(x))
        out: Tensor = self.conv2(F.relu(self.bn2(self.conv1(active))))
        return out + (x if self.convShortcut is None else self.convShortcut(active))


class WideStage(nn.Module):
    """A stage of blocks, which are stored in the attribute `layer` as in the published code."""

    def __init__(self, inputs: int, outputs: int, blocks: int, stride: int) -> None:
        super().__init__()
        self.layer = make_stage(WideBlock, inputs, outputs, blocks, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        out: Tensor = self.layer(x)
        return out


class WideResNet(nn.Module):
    """A network with a 16-channel stem, three stages of (depth - 4) / 6 blocks and a classifier."""

    def __init__(self, depth: int, widen: int, num_classes: int) -> None:
        super().__init__()
        blocks = (depth - 4) // 6
        self.conv1 = conv(3, 16, 3)
        self.block1 = WideStage(16, 16 * widen, blocks, 1)
        self.block2 = WideStage(16 * widen, 32 * widen, blocks, 2)
        self.block3 = WideStage(32 * widen, 64 * widen, blocks, 2)
        self.bn1 = nn.BatchNorm2d(64 * widen)
        self.fc = nn.Linear(64 * widen, num_classes)
        init_convolutions(self)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes) for images (N, 3, H, W)."""
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        logits: Tensor = self.fc(global_pool(F.relu(self.bn1(x))))
        return logits


def build(name: str, num_classes: int, options: ArchitectureOptions) -> Network:
    """Build a wide ResNet by name.

    `wrn_40_2` has depth 40 and twice the width. `wrn` takes depth and width from its options.

    Raises:
        SpecError: depth - 4 is not a multiple of 6.
    """
    depth, widen = _parse_depth_and_width(name, options)
    if (depth - 4) % 6:
        raise SpecError(
            f"A wide ResNet cannot have a depth of {depth}.",
            hint="Use a depth of 10, 16, 22, 28, 34, 40, ...",
            pointer="/student/options/depth",
        )
    return Network(WideResNet(depth, widen, num_classes), "fc", ("block1", "block2", "block3"))


def _parse_depth_and_width(name: str, options: ArchitectureOptions) -> tuple[int, int]:
    if isinstance(options, WideResNetOptions):
        return options.depth, options.widen_factor
    _, depth, widen = name.split("_")
    return int(depth), int(widen)
