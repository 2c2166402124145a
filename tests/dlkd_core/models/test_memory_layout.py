"""Tests for the memory layout of weights."""

import torch
from torch import nn

from dlkd_core.models.memory_layout import use_channels_last


def test_only_weights_of_four_dimensions_are_converted() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv3d(1, 2, 3), nn.Linear(2, 2))
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    parameters = list(module.parameters())
    use_channels_last(module)
    assert module[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert module[1].weight.is_contiguous()
    assert all(a is b for a, b in zip(parameters, module.parameters(), strict=True))
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
