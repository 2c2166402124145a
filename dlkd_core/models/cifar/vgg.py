"""VGG for small images: Simonyan and Zisserman 2015, https://arxiv.org/abs/1409.1556.

The networks have batch normalization and a single linear layer. Layer names follow
https://github.com/HobbitLong/RepDistiller, so that its checkpoints load.
"""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from dlkd_core.catalog.architectures import ArchitectureOptions
from dlkd_core.models.cifar.layers import global_pool, init_classifier, init_convolutions
from dlkd_core.models.network import Network

_WIDTHS = (64, 128, 256, 512, 512)
_CONVOLUTIONS = {
    "vgg8": (1, 1, 1, 1, 1),
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}


class CifarVGG(nn.Module):
    """A network with five blocks of convolutions and a classifier.

    Max pooling halves the height and width of the feature maps after each of the first three
    blocks and, for images at least 64 pixels high, after the fourth.
    """

    def __init__(self, convolutions: tuple[int, ...], num_classes: int) -> None:
        super().__init__()
        widths = [*pairwise((3, *_WIDTHS))]
        self.block0, self.block1, self.block2, self.block3, self.block4 = (
            _make_block(inputs, outputs, count)
            for (inputs, outputs), count in zip(widths, convolutions, strict=True)
        )
        self.classifier = nn.Linear(_WIDTHS[-1], num_classes)
        init_convolutions(self)
        init_classifier(self.classifier, 0.01)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes) for images (N, 3, H, W)."""
        is_large = x.shape[2] >= 64
        for block in (self.block0, self.block1, self.block2):
            x = F.max_pool2d(block(x), 2)
        x = self.block3(x)
        x = self.block4(F.max_pool2d(x, 2) if is_large else x)
        logits: Tensor = self.classifier(global_pool(x))
        return logits


def _make_block(inputs: int, outputs: int, count: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in (inputs, *[outputs] * (count - 1)):
        layers += [nn.Conv2d(width, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


def build(name: str, num_classes: int, _options: ArchitectureOptions) -> Network:
    """Build `vgg8`, `vgg11`, `vgg13`, `vgg16` or `vgg19`.

    The number in a name is the number of layers with weights, counted as if there were three linear
    layers.
    """
    return Network(
        CifarVGG(_CONVOLUTIONS[name], num_classes),
        "classifier",
        ("block1", "block2", "block3", "block4"),
    )
