"""State that a step changes before the optimizer updates the weights.

It consists of batch norm statistics, feature queues and other buffers, and random number states.
"""

from typing import Any

import torch
from torch import nn


class StepSnapshot:
    """A copy of all buffers of some modules, to restore when a step has to be repeated."""

    def __init__(self, *modules: nn.Module) -> None:
        owners = [owner for module in modules for owner in module.modules()]
        self._buffers = [
            (owner, name, value.clone())
            for owner in owners
            for name, value in owner.named_buffers(recurse=False)
        ]
        self._rng_state = get_rng_state()

    @torch.no_grad()
    def restore(self) -> None:
        """Restore all buffers and the random number state."""
        # Look buffers up by owner and name: a module may have replaced the tensor.
        for owner, name, value in self._buffers:
            owner.get_buffer(name).copy_(value)
        set_rng_state(self._rng_state)


def get_rng_state() -> dict[str, Any]:
    """Return torch's random number state of the CPU and of all GPUs."""
    state: dict[str, Any] = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def set_rng_state(state: dict[str, Any]) -> None:
    """Restore a state from `get_rng_state`, ignoring GPU states on a machine without GPU."""
    torch.set_rng_state(state["cpu"])
    if torch.cuda.is_available() and "cuda" in state:
        torch.cuda.set_rng_state_all(state["cuda"])
