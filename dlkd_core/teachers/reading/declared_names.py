"""Names of architectures that training scripts save beside the weights.

timm's `train.py` saves `arch` and its arguments, Lightning saves `hyper_parameters`, and other
scripts save a `config`. The names are hints: they choose among networks that the weights fit.
"""

from argparse import Namespace
from collections.abc import Iterator, Mapping
from typing import Any

_NAME_KEYS = ("arch", "architecture", "model_name", "model", "backbone", "encoder", "name")
_CONFIG_KEYS = ("args", "hyper_parameters", "hparams", "config", "cfg", "opt", "model")
_MAX_DEPTH = 4


def find_declared_names(saved: Any, depth: int = _MAX_DEPTH) -> tuple[str, ...]:
    """Return the names in a loaded checkpoint, or in the metadata of a safetensors file."""
    return tuple(dict.fromkeys(_iter_names(saved, depth)))


def _iter_names(saved: Any, depth: int) -> Iterator[str]:
    values = vars(saved) if isinstance(saved, Namespace) else saved
    if not isinstance(values, Mapping) or depth == 0:
        return
    for key in _NAME_KEYS:
        name = values.get(key)
        if isinstance(name, str) and name:
            yield name
    for key in _CONFIG_KEYS:
        yield from _iter_names(values.get(key), depth - 1)
