"""What a network costs: its numbers, and the multiplications for one image."""

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


def parameters(network: nn.Module) -> int:
    """Trainable numbers."""
    return sum(parameter.numel() for parameter in network.parameters())


@torch.no_grad()  # the counter does not see through inference mode
def macs(network: nn.Module, image: Tensor) -> int | None:
    """Multiply-accumulates of convolutions and matrix products for `image` (1, 3, H, W), in evaluation mode.

    None for a network that torch does not run.
    """
    counter = FlopCounterMode(display=False)
    with counter:
        network(image)
    return counter.get_total_flops() // 2 or None
