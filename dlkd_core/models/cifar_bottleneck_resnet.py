"""ResNet-50 for small images: He et al. 2016, https://arxiv.org/abs/1512.03385, with a 3x3 stem of stride 1 and no pooling.

Layer names are those of https://github.com/HobbitLong/RepDistiller, so that its checkpoints load.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from dlkd_core.catalog.architectures import Options
from dlkd_core.models.layers import conv_norm, global_pool, init_convolutions
from dlkd_core.models.network import Network

_EXPANSION = 4
_BLOCKS = {"ResNet50": (3, 4, 6, 3)}


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions and a shortcut."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = _EXPANSION * width
        self.conv1, self.bn1 = conv_norm(inputs, width, 1)
        self.conv2, self.bn2 = conv_norm(width, width, 3, stride)
        self.conv3, self.bn3 = conv_norm(width, outputs, 1)
        self.shortcut = nn.Sequential(*([] if stride == 1 and inputs == outputs else conv_norm(inputs, outputs, 1, stride)))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, 4 * width, H / stride, W / stride)."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        return F.relu(self.bn3(self.conv3(out)) + self.shortcut(x))


class CifarBottleneckResNet(nn.Module):
    """A stem, four stages of bottlenecks, and a classifier."""

    def __init__(self, blocks: tuple[int, ...], num_classes: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_norm(3, 64, 3)
        self.layer1 = _stage(64, 64, blocks[0], 1)
        self.layer2 = _stage(256, 128, blocks[1], 2)
        self.layer3 = _stage(512, 256, blocks[2], 2)
        self.layer4 = _stage(1024, 512, blocks[3], 2)
        self.linear = nn.Linear(2048, num_classes)
        init_convolutions(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, num_classes)."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        logits: Tensor = self.linear(global_pool(x))
        return logits


def _stage(inputs: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        Bottleneck(inputs, width, stride), *(Bottleneck(_EXPANSION * width, width, 1) for _ in range(blocks - 1))
    )


def build(name: str, num_classes: int, _options: Options) -> Network:
    """`ResNet50`."""
    return Network(CifarBottleneckResNet(_BLOCKS[name], num_classes), "linear", ("layer1", "layer2", "layer3", "layer4"))
