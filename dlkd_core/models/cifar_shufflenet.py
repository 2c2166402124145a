"""The two ShuffleNets for small images.

V1: Zhang et al. 2018, https://arxiv.org/abs/1707.01083, 3 groups. V2: Ma et al. 2018, https://arxiv.org/abs/1807.11164, width 1.
Layer names are those of https://github.com/HobbitLong/RepDistiller, so that its checkpoints load.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlkd_core.catalog.architectures import Options
from dlkd_core.models.layers import channel_shuffle, conv_norm, global_pool
from dlkd_core.models.network import Network

_STEM = 24


class ShuffleUnit(nn.Module):
    """V1: grouped 1x1, shuffle, 3x3 by channel, grouped 1x1; at stride 2 the pooled input is appended, else it is added."""

    def __init__(self, inputs: int, outputs: int, stride: int, groups: int) -> None:
        super().__init__()
        out = outputs - inputs if stride == 2 else outputs
        middle = out // 4
        self.stride, self.groups = stride, 1 if inputs == _STEM else groups
        self.conv1, self.bn1 = conv_norm(inputs, middle, 1, groups=self.groups)
        self.conv2, self.bn2 = conv_norm(middle, middle, 3, stride, groups=middle)
        self.conv3, self.bn3 = conv_norm(middle, out, 1, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        out = channel_shuffle(F.relu(self.bn1(self.conv1(x))), self.groups)
        out = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(out)))))
        return F.relu(torch.cat([out, F.avg_pool2d(x, 3, 2, 1)], 1) if self.stride == 2 else out + x)


class ShuffleNetV1(nn.Module):
    """A 1x1 stem, three stages and a classifier."""

    def __init__(self, num_classes: int, widths: tuple[int, ...] = (240, 480, 960), groups: int = 3) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_norm(3, _STEM, 1)
        self.layer1 = self._stage(_STEM, widths[0], 4, groups)
        self.layer2 = self._stage(widths[0], widths[1], 8, groups)
        self.layer3 = self._stage(widths[1], widths[2], 4, groups)
        self.linear = nn.Linear(widths[2], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, num_classes)."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.linear(global_pool(x))
        return logits

    @staticmethod
    def _stage(inputs: int, outputs: int, units: int, groups: int) -> nn.Sequential:
        rest = (ShuffleUnit(outputs, outputs, 1, groups) for _ in range(units - 1))
        return nn.Sequential(ShuffleUnit(inputs, outputs, 2, groups), *rest)


class SplitUnit(nn.Module):
    """V2 at stride 1: half of the channels go through 1x1, 3x3 by channel, 1x1; then all are shuffled."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.conv1, self.bn1 = conv_norm(half, half, 1)
        self.conv2, self.bn2 = conv_norm(half, half, 3, groups=half)
        self.conv3, self.bn3 = conv_norm(half, half, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W), the same shape."""
        kept, out = x.chunk(2, dim=1)
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(out)))))
        return channel_shuffle(torch.cat([kept, F.relu(self.bn3(self.conv3(out)))], 1), 2)


class DownUnit(nn.Module):
    """V2 at stride 2: two branches over all channels, each to half of the new width; then all are shuffled."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        self.conv1, self.bn1 = conv_norm(inputs, inputs, 3, 2, groups=inputs)
        self.conv2, self.bn2 = conv_norm(inputs, half, 1)
        self.conv3, self.bn3 = conv_norm(inputs, half, 1)
        self.conv4, self.bn4 = conv_norm(half, half, 3, 2, groups=half)
        self.conv5, self.bn5 = conv_norm(half, half, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / 2, W / 2)."""
        left = F.relu(self.bn2(self.conv2(self.bn1(self.conv1(x)))))
        right = self.bn4(self.conv4(F.relu(self.bn3(self.conv3(x)))))
        right = F.relu(self.bn5(self.conv5(right)))
        return channel_shuffle(torch.cat([left, right], 1), 2)


class ShuffleNetV2(nn.Module):
    """A 1x1 stem, three stages, a 1x1 convolution and a classifier."""

    def __init__(self, num_classes: int, widths: tuple[int, ...] = (116, 232, 464, 1024)) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_norm(3, _STEM, 1)
        self.layer1 = self._stage(_STEM, widths[0], 3)
        self.layer2 = self._stage(widths[0], widths[1], 7)
        self.layer3 = self._stage(widths[1], widths[2], 3)
        self.conv2, self.bn2 = conv_norm(widths[2], widths[3], 1)
        self.linear = nn.Linear(widths[3], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, num_classes)."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.linear(global_pool(F.relu(self.bn2(self.conv2(x)))))
        return logits

    @staticmethod
    def _stage(inputs: int, outputs: int, units: int) -> nn.Sequential:
        return nn.Sequential(DownUnit(inputs, outputs), *(SplitUnit(outputs) for _ in range(units)))


def build(name: str, num_classes: int, _options: Options) -> Network:
    """`ShuffleV1` and `ShuffleV2`."""
    module = ShuffleNetV1(num_classes) if name == "ShuffleV1" else ShuffleNetV2(num_classes)
    return Network(module, "linear", ("layer1", "layer2", "layer3"))
