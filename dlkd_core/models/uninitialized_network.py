"""Networks whose weights have memory but no values yet, for loading a checkpoint into them.

Random initialization would take most of the time of building a large network, only for the
checkpoint to overwrite it.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from dlkd_core.models.network import Network, build_network

# The functions of `torch.nn.init` that modes can intercept, and the tensor methods that the others
# call
_INITIALIZERS = {
    *("kaiming_uniform_", "constant_", "uniform_", "normal_", "erfinv_", "clamp_"),
    *("mul_", "add_", "fill_", "zero_"),
}


def build_uninitialized_network(
    architecture: str, num_classes: int, options: Mapping[str, Any] | None = None
) -> Network:
    """Build a network with arbitrary values in its weights.

    Everything that the network computes while it is built has its value, including buffers that are
    not in the state dict, such as blur filters and attention masks. The global random generator
    does not advance.

    Raises:
        UnknownChoice: there is no such architecture.
        pydantic.ValidationError: the architecture has no such options.
    """
    with torch.random.fork_rng(devices=[]), _SkipInitializationMode():
        return build_network(architecture, num_classes, options)


class _SkipInitializationMode(TorchFunctionMode):
    """A context in which the initializers of parameters do nothing."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func.__name__ in _INITIALIZERS:
            tensor = args[0] if args else kwargs.get("tensor")
            if isinstance(tensor, nn.Parameter):
                return tensor
        return func(*args, **kwargs)
