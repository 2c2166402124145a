"""Networks without memory: shapes to compare a checkpoint with, and a frame to put its weights into."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from dlkd_core.models.network import Network, build

_PARAMETERS = {torch.empty, torch.zeros, torch.ones}  # what layers make their weights with


def skeleton(architecture: str, num_classes: int, options: Mapping[str, Any] | None = None) -> Network:
    """`build`, with every weight on the meta device; takes no random numbers.

    Tables that a network computes (Swin's relative positions) are real, so that after
    `load_state_dict(weights, assign=True)` with all weights nothing is left to fill.
    """
    with on_meta():
        return build(architecture, num_classes, options)


def on_meta() -> TorchFunctionMode:
    """The context in which the weights of networks are made without values."""
    return _WeightsOnMeta()


class _WeightsOnMeta(TorchFunctionMode):
    """Unlike `torch.device("meta")` it leaves alone what networks compute while they are built (RegNet's widths)."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        device = {"device": "meta"} if func in _PARAMETERS else {}
        return func(*args, **{**(kwargs or {}), **device})
