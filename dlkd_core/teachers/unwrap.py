"""The state dict inside what training scripts save, under the names that the network itself has."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from dlkd_core.errors import CheckpointRefused

# Under which training scripts put the weights, the likeliest first: a moving average is what they publish where they keep one,
# and so is DINO's teacher.
_AVERAGES = ("state_dict_ema", "model_ema", "ema_state_dict", "ema_model", "ema")
_WRAPPINGS = (
    *_AVERAGES,
    *("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights", "params", "module"),
    *("teacher", "student"),
)
_WRAPPERS = {"module", "_orig_mod"}  # DataParallel and torch.compile, around the network or a part of it
_HOLDERS = {"model", "net", "network", "backbone", "base_model"}  # attributes of a class that holds the network
_DEPTH = 5


def find_tensors(loaded: Any) -> dict[str, Tensor]:
    """The state dict in what was loaded, taken out of its wrappings.

    Raises:
        CheckpointRefused: no tensors by name, or several sets of them.
    """
    for _ in range(_DEPTH):
        if not isinstance(loaded, Mapping):
            break
        inner = {key: value for key, value in loaded.items() if _holds_weights(value)}
        if not inner:
            return _named(loaded)
        loaded = inner[_choose(inner)]
    raise CheckpointRefused(f"The file holds a {type(loaded).__name__}, not a state dict.")


def plain_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors without the prefixes that wrappers put before their names; unchanged where two would get one name."""
    plain = {_plain(name): tensor for name, tensor in tensors.items()}
    return plain if len(plain) == len(tensors) else dict(tensors)


def _holds_weights(value: Any, depth: int = _DEPTH) -> bool:
    if not isinstance(value, Mapping) or "param_groups" in value or depth == 0:  # an optimiser's state has tensors too
        return False
    return any(
        (isinstance(key, str) and isinstance(part, Tensor)) or _holds_weights(part, depth - 1) for key, part in value.items()
    )


def _choose(inner: Mapping[Any, Any]) -> Any:
    known = [name for name in _WRAPPINGS if name in inner]
    if known or len(inner) == 1:
        return [*known, *inner][0]
    names = ", ".join(str(key) for key in inner)
    raise CheckpointRefused(f"The file holds several sets of weights: {names}.", hint="Save the one that is meant on its own.")


def _named(state: Mapping[Any, Any]) -> dict[str, Tensor]:
    tensors = {key: value.detach() for key, value in state.items() if isinstance(key, str) and isinstance(value, Tensor)}
    if not tensors:
        keys = ", ".join(str(key) for key in list(state)[:5]) or "nothing"
        raise CheckpointRefused(f"There are no weights in the file; it holds {keys}.")
    return tensors


def _plain(name: str) -> str:
    parts = [part for part in name.split(".") if part not in _WRAPPERS]
    while len(parts) > 1 and parts[0] in _HOLDERS:
        parts = parts[1:]
    return ".".join(parts) or name
