"""The state of torch's random numbers, to be put back."""

from typing import Any

import torch


def random_state() -> dict[str, Any]:
    """Of the CPU, and of the GPUs where there are any."""
    state: dict[str, Any] = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def restore_random(state: dict[str, Any]) -> None:
    """What `random_state` gave; a GPU's is passed over where there is none."""
    torch.set_rng_state(state["cpu"])
    if torch.cuda.is_available() and "cuda" in state:
        torch.cuda.set_rng_state_all(state["cuda"])
