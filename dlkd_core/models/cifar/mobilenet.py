"""MobileNetV2 for small images: Sandler et al. 2018, https://arxiv.org/abs/1801.04381.

The network has half as many channels as in the paper. Strides and layer names follow
https://github.com/HobbitLong/RepDistiller, so that its checkpoints load.
"""

from functools import partial

from torch import Tensor, nn

from dlkd_core.catalog.architectures import ArchitectureOptions
from dlkd_core.models.cifar.layers import (
    conv_norm,
    global_pool,
    init_classifier,
    init_convolutions,
    make_stage,
)
from dlkd_core.models.network import Network

_FEATURE_WIDTH = 1280
# Expansion, channels, blocks and stride of each stage. The channels are half of the paper's.
_STAGES = (
    (1, 8, 1, 1),
    (6, 12, 2, 1),
    (6, 16, 3, 2),
    (6, 32, 4, 2),
    (6, 48, 3, 1),
    (6, 80, 3, 2),
    (6, 160, 1, 1),
)


class InvertedResidual(nn.Module):
    """A block of 1x1 expansion, depthwise 3x3 and 1x1 projection convolutions.

    It has a shortcut if the shape does not change.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = expansion * inputs
        self.residual = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            *conv_norm(inputs, hidden, 1),
            nn.ReLU(),
            *conv_norm(hidden, hidden, 3, stride, groups=hidden),
            nn.ReLU(),
            *conv_norm(hidden, outputs, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        out: Tensor = self.conv(x)
        return x + out if self.residual else out


class CifarMobileNetV2(nn.Module):
    """A network with a stem of stride 2, seven stages, a 1x1 convolution and a classifier."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(*conv_norm(3, 16, 3, 2), nn.ReLU())
        stages, width = [], 16
        for expansion, outputs, count, stride in _STAGES:
            make_block = partial(InvertedResidual, expansion=expansion)
            stages.append(make_stage(make_block, width, outputs, count, stride))
            width = outputs
        self.blocks = nn.ModuleList(stages)
        self.conv2 = nn.Sequential(*conv_norm(width, _FEATURE_WIDTH, 1), nn.ReLU())
        linear = nn.Linear(_FEATURE_WIDTH, num_classes)
        self.classifier = nn.Sequential(linear)
        init_convolutions(self)
        init_classifier(linear, 0.01)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes) for images (N, 3, H, W)."""
        x = self.conv1(x)
        for stage in self.blocks:
            x = stage(x)
        logits: Tensor = self.classifier(global_pool(self.conv2(x)))
        return logits


def build(_name: str, num_classes: int, _options: ArchitectureOptions) -> Network:
    """Build `MobileNetV2`, the only network of the family."""
    return Network(
        CifarMobileNetV2(num_classes),
        "classifier.0",
        ("blocks.1", "blocks.2", "blocks.4", "blocks.6"),
    )
