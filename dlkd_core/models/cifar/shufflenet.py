"""ShuffleNet V1 and V2 for small images.

V1 (with 3 groups): Zhang et al. 2018, https://arxiv.org/abs/1707.01083. V2 (with width multiplier
1): Ma et al. 2018, https://arxiv.org/abs/1807.11164. Layer names follow
https://github.com/HobbitLong/RepDistiller, so that its checkpoints load.
"""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlkd_core.catalog.architectures import ArchitectureOptions
from dlkd_core.models.cifar.layers import channel_shuffle, conv_norm, global_pool, make_stage
from dlkd_core.models.network import Network

_STEM_WIDTH = 24


class ShuffleUnit(nn.Module):
    """A V1 block: grouped 1x1 convolution, channel shuffle, depthwise 3x3, grouped 1x1.

    At stride 2, the pooled input is concatenated with the result. Otherwise, the input is added.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, groups: int) -> None:
        super().__init__()
        out = outputs - inputs if stride == 2 else outputs
        middle = out // 4
        self.stride, self.groups = stride, 1 if inputs == _STEM_WIDTH else groups
        self.conv1, self.bn1 = conv_norm(inputs, middle, 1, groups=self.groups)
        self.conv2, self.bn2 = conv_norm(middle, middle, 3, stride, groups=middle)
        self.conv3, self.bn3 = conv_norm(middle, out, 1, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        out = channel_shuffle(F.relu(self.bn1(self.conv1(x))), self.groups)
        out = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(out)))))
        if self.stride == 2:
            return F.relu(torch.cat([out, F.avg_pool2d(x, 3, 2, 1)], 1))
        return F.relu(out + x)


class ShuffleNetV1(nn.Module):
    """A network with a 1x1 stem, three stages and a classifier."""

    def __init__(
        self, num_classes: int, widths: tuple[int, ...] = (240, 480, 960), groups: int = 3
    ) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_norm(3, _STEM_WIDTH, 1)
        make_unit = partial(ShuffleUnit, groups=groups)
        self.layer1 = make_stage(make_unit, _STEM_WIDTH, widths[0], 4, 2)
        self.layer2 = make_stage(make_unit, widths[0], widths[1], 8, 2)
        self.layer3 = make_stage(make_unit, widths[1], widths[2], 4, 2)
        self.linear = nn.Linear(widths[2], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes) for images (N, 3, H, W)."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.linear(global_pool(x))
        return logits


class SplitUnit(nn.Module):
    """A V2 block with stride 1.

    Half of the channels pass through 1x1, depthwise 3x3 and 1x1 convolutions. Then all channels
    are shuffled.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.conv1, self.bn1 = conv_norm(half, half, 1)
        self.conv2, self.bn2 = conv_norm(half, half, 3, groups=half)
        self.conv3, self.bn3 = conv_norm(half, half, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, width, H, W) to the same shape."""
        kept, out = x.chunk(2, dim=1)
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(out)))))
        return channel_shuffle(torch.cat([kept, F.relu(self.bn3(self.conv3(out)))], 1), 2)


class DownsamplingUnit(nn.Module):
    """A V2 block with stride 2.

    Each of two branches maps all input channels to half of the output channels. Then all channels
    are shuffled.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        self.conv1, self.bn1 = conv_norm(inputs, inputs, 3, 2, groups=inputs)
        self.conv2, self.bn2 = conv_norm(inputs, half, 1)
        self.conv3, self.bn3 = conv_norm(inputs, half, 1)
        self.conv4, self.bn4 = conv_norm(half, half, 3, 2, groups=half)
        self.conv5, self.bn5 = conv_norm(half, half, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / 2, W / 2)."""
        left = F.relu(self.bn2(self.conv2(self.bn1(self.conv1(x)))))
        right = self.bn4(self.conv4(F.relu(self.bn3(self.conv3(x)))))
        right = F.relu(self.bn5(self.conv5(right)))
        return channel_shuffle(torch.cat([left, right], 1), 2)


class ShuffleNetV2(nn.Module):
    """A network with a 1x1 stem, three stages, a 1x1 convolution and a classifier."""

    def __init__(self, num_classes: int, widths: tuple[int, ...] = (116, 232, 464, 1024)) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_norm(3, _STEM_WIDTH, 1)
        self.layer1 = self._make_stage(_STEM_WIDTH, widths[0], 3)
        self.layer2 = self._make_stage(widths[0], widths[1], 7)
        self.layer3 = self._make_stage(widths[1], widths[2], 3)
        self.conv2, self.bn2 = conv_norm(widths[2], widths[3], 1)
        self.linear = nn.Linear(widths[3], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes) for images (N, 3, H, W)."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.linear(global_pool(F.relu(self.bn2(self.conv2(x)))))
        return logits

    @staticmethod
    def _make_stage(inputs: int, outputs: int, units: int) -> nn.Sequential:
        return nn.Sequential(
            DownsamplingUnit(inputs, outputs), *(SplitUnit(outputs) for _ in range(units))
        )


def build(name: str, num_classes: int, _options: ArchitectureOptions) -> Network:
    """Build `ShuffleV1` or `ShuffleV2`."""
    module = ShuffleNetV1(num_classes) if name == "ShuffleV1" else ShuffleNetV2(num_classes)
    return Network(module, "linear", ("layer1", "layer2", "layer3"))
