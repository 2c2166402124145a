"""VGG with batch normalisation and one linear layer: Simonyan, Zisserman 2015, https://arxiv.org/abs/1409.1556.

Layer names are those of https://github.com/HobbitLong/RepDistiller, so that its checkpoints load.
"""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from dlkd_core.catalog.architectures import Options
from dlkd_core.models.layers import global_pool, init_classifier, init_convolutions
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
    """Five blocks of convolutions; the size is halved after the first three, and after the fourth too from 64 pixels on."""

    def __init__(self, convolutions: tuple[int, ...], num_classes: int) -> None:
        super().__init__()
        widths = [*pairwise((3, *_WIDTHS))]
        self.block0, self.block1, self.block2, self.block3, self.block4 = (
            _block(inputs, outputs, count) for (inputs, outputs), count in zip(widths, convolutions, strict=True)
        )
        self.classifier = nn.Linear(_WIDTHS[-1], num_classes)
        init_convolutions(self)
        init_classifier(self.classifier, 0.01)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, num_classes)."""
        large = x.shape[2] >= 64
        for block in (self.block0, self.block1, self.block2):
            x = F.max_pool2d(block(x), 2)
        x = self.block3(x)
        x = self.block4(F.max_pool2d(x, 2) if large else x)
        logits: Tensor = self.classifier(global_pool(x))
        return logits


def _block(inputs: int, outputs: int, count: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in (inputs, *[outputs] * (count - 1)):
        layers += [nn.Conv2d(width, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


def build(name: str, num_classes: int, _options: Options) -> Network:
    """`vgg8` to `vgg19`: the number of layers with weights, as if there were three linear ones."""
    return Network(CifarVGG(_CONVOLUTIONS[name], num_classes), "classifier", ("block1", "block2", "block3", "block4"))
