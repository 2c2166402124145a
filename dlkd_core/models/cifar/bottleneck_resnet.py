"""ResNet-50 for small images: He et al. 2016, https://arxiv.org/abs/1512.03385.

The stem is a 3x3 convolution with stride 1 and no pooling. Layer names follow
https://github.com/HobbitLong/RepDistiller, so that its checkpoints load.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from dlkd_core.catalog.architectures import ArchitectureOptions
from dlkd_core.models.cifar.layers import conv_norm, global_pool, init_convolutions, make_stage
from dlkd_core.models.network import Network

_EXPANSION = 4
_BLOCKS = {"ResNet50": (3, 4, 6, 3)}


class Bottleneck(nn.Module):
    """A block of 1x1, 3x3 and 1x1 convolutions with a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        width = outputs // _EXPANSION
        self.conv1, self.bn1 = conv_norm(inputs, width, 1)
        self.conv2, self.bn2 = conv_norm(width, width, 3, stride)
        self.conv3, self.bn3 = conv_norm(width, outputs, 1)
        self.shortcut = nn.Sequential(
            *([] if stride == 1 and inputs == outputs else conv_norm(inputs, outputs, 1, stride))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        return F.relu(self.bn3(self.conv3(out)) + self.shortcut(x))


class CifarBottleneckResNet(nn.Module):
    """A network with a stem, four stages of bottleneck blocks and a classifier."""

    def __init__(self, blocks: tuple[int, ...], num_classes: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_norm(3, 64, 3)
        self.layer1 = make_stage(Bottleneck, 64, 256, blocks[0], 1)
        self.layer2 = make_stage(Bottleneck, 256, 512, blocks[1], 2)
        self.layer3 = make_stage(Bottleneck, 512, 1024, blocks[2], 2)
        self.layer4 = make_stage(Bottleneck, 1024, 2048, blocks[3], 2)
        self.linear = nn.Linear(2048, num_classes)
        init_convolutions(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes) for images (N, 3, H, W)."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        logits: Tensor = self.linear(global_pool(x))
        return logits


def build(name: str, num_classes: int, _options: ArchitectureOptions) -> Network:
    """Build `ResNet50`."""
    return Network(
        CifarBottleneckResNet(_BLOCKS[name], num_classes),
        "linear",
        ("layer1", "layer2", "layer3", "layer4"),
    )
