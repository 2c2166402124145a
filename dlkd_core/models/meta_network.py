"""Networks on the meta device, whose weights have shapes but no values and take no memory.

They serve to compare shapes. Networks that are run are built by `build_network`, or by
`build_uninitialized_network` if a checkpoint is loaded into them.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from dlkd_core.models.network import Network, build_network

# the functions with which layers create their weights
_WEIGHT_FACTORIES = {torch.empty, torch.zeros, torch.ones}


def build_meta_network(
    architecture: str, num_classes: int, options: Mapping[str, Any] | None = None
) -> Network:
    """Build a network with every weight on the meta device, without random initialization.

    Tables in the state dict that a network computes (such as the relative positions of
    torchvision's Swin) keep their values. Other buffers may be on the meta device.

    Raises:
        UnknownChoice: there is no such architecture.
        pydantic.ValidationError: the architecture has no such options.
    """
    with MetaWeightsMode():
        return build_network(architecture, num_classes, options)


class MetaWeightsMode(TorchFunctionMode):
    """A context in which the weights of networks are created on the meta device.

    Unlike `torch.device("meta")`, it affects weights only. Tensors that networks compute while they
    are built (such as RegNet's widths) keep their values.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        device = {"device": "meta"} if func in _WEIGHT_FACTORIES else {}
        return func(*args, **{**(kwargs or {}), **device})
