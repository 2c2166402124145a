"""Extraction of the state dict from the nested dictionaries that training scripts save."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from torch import Tensor

from dlkd_core.errors import CheckpointRefused
from dlkd_core.teachers.reading.checkpoint_limits import CHECKPOINT_LIMITS

# Keys under which training scripts store the weights, most likely first. Moving averages come
# before raw weights, because scripts that keep an average publish it. DINO publishes its teacher.
_EMA_KEYS = ("state_dict_ema", "model_ema", "ema_state_dict", "ema_model", "ema")
_STATE_DICT_KEYS = (
    *_EMA_KEYS,
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "weights",
    "params",
    "module",
    "teacher",
    "student",
)
# Components that DataParallel, torch.compile, FSDP and activation checkpointing add to weight names
_WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
# Attributes under which wrapper classes hold the network
_MODEL_ATTRIBUTES = {"model", "net", "network", "backbone", "base_model"}
# Buffers of batch normalization, which averages of parameters lack
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
_MAX_LISTED = 5  # maximum number of keys that an error lists
_MAX_KEY_LENGTH = 100  # longer keys are shortened in messages


def find_state_dict(loaded: Any) -> dict[str, Tensor]:
    """Return the state dict inside a loaded object.

    Raises:
        CheckpointRefused: There are no named tensors, several candidate state dicts, or too many
            nested dictionaries.
    """
    depth = CHECKPOINT_LIMITS.nesting_depth
    for _ in range(depth):
        if not isinstance(loaded, Mapping):
            raise CheckpointRefused(f"The file holds a {type(loaded).__name__}, not a state dict.")
        searched: dict[int, int] = {}
        candidates = {
            key: value for key, value in loaded.items() if _contains_weights(value, depth, searched)
        }
        if not candidates:
            return _select_tensors(loaded)
        key = _choose_key(candidates)
        others = {name: value for name, value in candidates.items() if name not in _EMA_KEYS}
        if key in _EMA_KEYS and others:
            return _add_statistics(find_state_dict(candidates[key]), others)
        loaded = candidates[key]
    raise CheckpointRefused(
        f"The weights are nested in more than {depth} dictionaries.",
        hint="Save the state dict itself: torch.save(model.state_dict(), ...).",
    )


def _add_statistics(average: dict[str, Tensor], others: Mapping[Any, Any]) -> dict[str, Tensor]:
    """Add the batch statistics of the raw weights to a moving average of the parameters only."""
    if any(name.endswith(_STATISTICS) for name in average) or len(others) > 1:
        return average
    (raw,) = others.values()
    statistics = {
        name: tensor
        for name, tensor in strip_prefixes(find_state_dict(raw)).items()
        if name.endswith(_STATISTICS)
    }
    return {**strip_prefixes(average), **statistics} if statistics else average


def strip_prefixes(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Remove the prefixes that wrappers add to tensor names.

    The names stay unchanged if removing the prefixes would make two of them equal.
    """
    stripped = {_strip_prefix(name): tensor for name, tensor in tensors.items()}
    return stripped if len(stripped) == len(tensors) else dict(tensors)


def merge_reparametrizations(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Replace the factors of weight norm and spectral norm by the weights that they stand for.

    Both forms of torch are understood: `weight_g` and `weight_v`, or `weight_orig` with `weight_u`
    and `weight_v`, and the parametrizations `original0` and `original1`, or `original` with `0._u`
    and `0._v`.
    """
    merged = dict(tensors)
    for name in tensors:
        layer = name.removesuffix("weight_g").removesuffix("weight_orig")
        modern = name.partition("parametrizations.weight.")[0] + "parametrizations.weight."
        if name.endswith("weight_g") and f"{layer}weight_v" in merged:
            weight = _weight_norm(layer, merged.pop(name), merged.pop(f"{layer}weight_v"))
        elif name.endswith("weight_orig") and f"{layer}weight_u" in merged:
            u, v = merged.pop(f"{layer}weight_u"), merged.pop(f"{layer}weight_v", None)
            weight = _spectral_norm(layer, merged.pop(name), u, v)
        elif name == f"{modern}original0" and f"{modern}original1" in merged:
            layer = modern.removesuffix("parametrizations.weight.")
            weight = _weight_norm(layer, merged.pop(name), merged.pop(f"{modern}original1"))
        elif name == f"{modern}original" and f"{modern}0._u" in merged:
            layer = modern.removesuffix("parametrizations.weight.")
            u, v = merged.pop(f"{modern}0._u"), merged.pop(f"{modern}0._v", None)
            weight = _spectral_norm(layer, merged.pop(name), u, v)
        else:
            continue
        merged[f"{layer}weight"] = weight
    return merged


def _weight_norm(layer: str, length: Tensor, direction: Tensor) -> Tensor:
    """Return length * direction / |direction|, with one length for each output or for all."""
    _check_floats(layer, length, direction)
    if direction.dim() < 2 or length.numel() not in (1, len(direction)):
        raise CheckpointRefused(
            f"The layer {layer}weight with weight norm has lengths of shape {tuple(length.shape)}"
            f" and directions of shape {tuple(direction.shape)}.",
            hint="Remove the weight norm before saving (torch.nn.utils.remove_weight_norm).",
        )
    sums = direction.square() if length.numel() == 1 else direction.flatten(1).square()
    norms = sums.sum() if length.numel() == 1 else sums.sum(dim=1)
    factors = (length.flatten() / norms.sqrt()).view(-1, *[1] * (direction.dim() - 1))
    weight: Tensor = direction * factors
    return weight


def _check_floats(layer: str, *factors: Tensor) -> None:
    if len({factor.dtype for factor in factors}) > 1 or not factors[0].is_floating_point():
        raise CheckpointRefused(
            f"The parts of {layer}weight are not floats of one type.",
            hint="Remove weight norm and spectral norm before saving.",
        )


def _spectral_norm(layer: str, weight: Tensor, u: Tensor, v: Tensor | None) -> Tensor:
    """Return the weight divided by its largest singular value, as estimated during training."""
    _check_floats(layer, weight, u)
    matrix = weight.flatten(1) if weight.dim() > 1 else weight[None]
    if v is None or u.shape != matrix.shape[:1] or v.shape != matrix.shape[1:]:
        raise CheckpointRefused(
            f"The layer {layer}weight with spectral norm lacks its singular vectors, or they have"
            " other shapes.",
            hint="Remove the spectral norm before saving (torch.nn.utils.remove_spectral_norm).",
        )
    _check_floats(layer, weight, v)
    normalized: Tensor = weight / (u @ matrix @ v)
    return normalized


def _contains_weights(value: Any, depth: int, searched: dict[int, int]) -> bool:
    """Return whether there are named tensors within `depth` dictionaries.

    `searched` maps the id of each dictionary without weights to the depth of its search. Without
    it, dictionaries that contain each other many times would be searched without end.
    """
    # an optimizer's state also holds tensors
    if not isinstance(value, Mapping) or "param_groups" in value:
        return False
    if depth <= searched.get(id(value), 0):
        return False
    searched[id(value)] = depth
    found = any(
        (isinstance(key, str) and isinstance(item, Tensor))
        or _contains_weights(item, depth - 1, searched)
        for key, item in value.items()
    )
    if found:
        del searched[id(value)]
    return found


def _choose_key(candidates: Mapping[Any, Any]) -> Any:
    known = [key for key in _STATE_DICT_KEYS if key in candidates]
    if known or len(candidates) == 1:
        return [*known, *candidates][0]
    raise CheckpointRefused(
        f"The file holds several sets of weights: {_list_keys(candidates)}.",
        hint="Send a file that contains only the weights to be used.",
    )


def _select_tensors(state: Mapping[Any, Any]) -> dict[str, Tensor]:
    tensors = {
        key: value.detach()
        for key, value in state.items()
        if isinstance(key, str) and isinstance(value, Tensor)
    }
    if not tensors:
        keys = _list_keys(state) or "nothing"
        raise CheckpointRefused(f"There are no weights in the file. It holds {keys}.")
    return tensors


def _list_keys(state: Mapping[Any, Any]) -> str:
    """Return the first few keys for a message. Keys that are no text can be of any size."""
    shown = [
        key[:_MAX_KEY_LENGTH] if isinstance(key, str) else f"a key of type {type(key).__name__}"
        for key in islice(state, _MAX_LISTED)
    ]
    rest = len(state) - len(shown)
    return ", ".join([*shown, *([f"and {rest} more"] if rest else [])])


def _strip_prefix(name: str) -> str:
    components = [component for component in name.split(".") if component not in _WRAPPERS]
    while len(components) > 1 and components[0] in _MODEL_ATTRIBUTES:
        components = components[1:]
    return ".".join(components) or name
