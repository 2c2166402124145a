"""What a step changes before its optimiser has the word: batch statistics, memories and random numbers."""

import torch
from torch import nn

from dlkd_core.randomness import random_state, restore_random


class Snapshot:
    """Copies of every buffer of some modules, to be put back when a step has to be made again."""

    def __init__(self, *modules: nn.Module) -> None:
        owners = [owner for module in modules for owner in module.modules()]
        self._held = [(owner, name, value.clone()) for owner in owners for name, value in owner.named_buffers(recurse=False)]
        self._random = random_state()

    @torch.no_grad()
    def restore(self) -> None:
        """Puts everything back. By owner and name: a module may have put another tensor in a buffer's place."""
        for owner, name, value in self._held:
            owner.get_buffer(name).copy_(value)
        restore_random(self._random)
