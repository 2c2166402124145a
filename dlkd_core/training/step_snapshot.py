"""Snapshots of the state that a training step changes before the optimizer updates the weights.

This state consists of buffers, such as batch norm statistics and feature queues, and of the states
of the random number generators.
"""

from typing import Any

import torch
from torch import nn


class StepSnapshot:
    """A copy of the modules' buffers and the random number state, for repeating a step."""

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
        # Look up buffers by module and name, because a module may have replaced the tensor.
        for owner, name, value in self._buffers:
            owner.get_buffer(name).copy_(value)
        set_rng_state(self._rng_state)


def get_rng_state() -> dict[str, Any]:
    """Return the states of torch's random number generators for the CPU and all GPUs."""
    state: dict[str, Any] = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def set_rng_state(state: dict[str, Any]) -> None:
    """Restore a state from `get_rng_state`, ignoring GPU states on a machine without a GPU."""
    torch.set_rng_state(state["cpu"])
    if torch.cuda.is_available() and "cuda" in state:
        torch.cuda.set_rng_state_all(state["cuda"])
