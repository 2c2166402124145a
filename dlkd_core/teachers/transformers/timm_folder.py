"""Folders of timm's networks, which the hub stores in the same form.

Their config.json names a network of timm, which is in the catalog.
"""

from dlkd_core.teachers.reading.checkpoint_reader import Checkpoint
from dlkd_core.teachers.reading.declared_names import find_declared_names
from dlkd_core.teachers.reading.state_dict import strip_prefixes
from dlkd_core.teachers.transformers.network_config import model_type
from dlkd_core.teachers.transformers.network_folder import NetworkFolder

_TIMM_WRAPPER, _WRAPPER_PREFIX = "timm_wrapper", "timm_model."


def is_timm_folder(folder: NetworkFolder) -> bool:
    """Return whether a folder holds the weights of a network of timm."""
    return model_type(folder.config) in {None, _TIMM_WRAPPER}


def read_timm_folder(folder: NetworkFolder) -> Checkpoint:
    """Return the weights, and the name of the network that config.json states."""
    tensors = {
        name.removeprefix(_WRAPPER_PREFIX): tensor for name, tensor in folder.tensors.items()
    }
    names = find_declared_names(folder.config)
    return Checkpoint(folder.format, strip_prefixes(tensors), names)
