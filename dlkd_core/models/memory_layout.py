"""Memory layout of a network's weights."""

from itertools import chain

import torch
from torch import nn

_IMAGE_DIMENSIONS = 4


def use_channels_last(module: nn.Module) -> None:
    """Store the weights (out, in, H, W) with channels last, which is faster.

    `Module.to` would also convert weights of five dimensions, which fails.
    """
    for tensor in chain(module.parameters(), module.buffers()):
        if tensor.dim() == _IMAGE_DIMENSIONS:
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
