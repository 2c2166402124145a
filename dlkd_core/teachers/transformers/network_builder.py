"""Builds a network of transformers from a folder's configuration and weights.

transformers is imported here only, when such a file is read. Nothing is downloaded, and no code
of the file is run: the classes are those of the installed library.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_module_registration_hook

from dlkd_core.errors import CheckpointRefused, KeysDoNotFit, LibraryMissing
from dlkd_core.memory_limits import raise_if_out_of_memory
from dlkd_core.models.parameter_names import summarize_names
from dlkd_core.teachers.transformers.network_config import clean_config, model_type
from dlkd_core.teachers.transformers.network_folder import NetworkFolder

# A network has this many modules per tensor at most, with some to spare for small ones.
_MODULES_PER_TENSOR, _FREE_MODULES = 20, 1000
# It may have this many times as many values as the file, with some to spare for a classifier that
# the file lacks and for tables that a network computes.
_VALUES_PER_VALUE, _FREE_VALUES = 1.5, 10_000_000
# Computed by the networks. Files of older versions hold them, or lack them.
_COMPUTED = ("position_ids", "relative_position_index", "num_batches_tracked", "mask_token")
_ZIP_HINT = "Zip the folder that save_pretrained has written."


@dataclass(frozen=True)
class BuiltNetwork:
    """A network with its weights, and the names that did not fit.

    Attributes:
        module: The network, in evaluation mode.
        missing: Names of parameters that the file lacks. They are not used.
        ignored: Names of tensors of the file that the network does not have.
    """

    module: nn.Module
    missing: tuple[str, ...]
    ignored: tuple[str, ...]


def build_from_folder(folder: NetworkFolder) -> BuiltNetwork:
    """Build the image classifier that a folder describes, and load its weights as float32.

    The network is first built without memory for its weights, so that a configuration cannot ask
    for more than the file holds.

    Raises:
        LibraryMissing: transformers is not installed.
        CheckpointRefused: The configuration does not describe an image classifier, or transformers
            cannot build it.
        KeysDoNotFit: The weights do not belong to the configuration.
    """
    values = clean_config(folder.config)
    kind = model_type(folder.config)
    network_class, config = _find_class(kind, folder.config, values)
    with _refuse_failures(f"transformers cannot build the {kind} of config.json"):
        with torch.device("meta"), _limited_modules(len(folder.tensors)):
            shapes = network_class(config).state_dict()
        _check_extent(shapes, folder.tensors)
        with torch.random.fork_rng(devices=[]):
            module, report = network_class.from_pretrained(
                None,
                config=config,
                state_dict=dict(folder.tensors),
                dtype=torch.float32,
                local_files_only=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
    module.eval().requires_grad_(requires_grad=False)
    return _check_report(module, report, str(kind))


def _find_class(kind: str | None, config: Mapping[str, Any], values: dict[str, Any]) -> Any:
    """Return the class of transformers for a configuration, and its configuration object."""
    if find_spec("transformers") is None:
        raise LibraryMissing(
            f"The file is a network of Hugging Face transformers ({kind}), and the package"
            " transformers is not installed here."
        )
    import transformers as library
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES as CLASSIFIERS,
    )

    transformers: Any = library  # much of it has no types
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    names = CLASSIFIERS.get(kind or "")
    if names is None:
        own_code = " It needs its own code (auto_map), which is never run."
        raise CheckpointRefused(
            f"transformers {transformers.__version__} has no image classifier of the kind"
            f" {kind}.{own_code if config.get('auto_map') else ''}",
            hint="Export the network with its classifier to ONNX, and upload the ONNX file.",
        )
    known = (names,) if isinstance(names, str) else names
    declared = config.get("architectures")
    wanted = [name for name in known if isinstance(declared, list) and name in declared]
    network_class = getattr(transformers, (*wanted, *known)[0])
    with _refuse_failures(f"transformers cannot read the config.json of this {kind}"):
        return network_class, network_class.config_class.from_dict(values)


@contextmanager
def _refuse_failures(what: str) -> Iterator[None]:
    """Blame the file for what transformers raises, which can be anything."""
    try:
        yield
    except (CheckpointRefused, KeysDoNotFit):
        raise
    except Exception as error:
        raise_if_out_of_memory(error, "the network")
        reason = str(error).strip().partition("\n")[0][:200] or type(error).__name__
        raise CheckpointRefused(f"{what}: {reason}.", hint=_ZIP_HINT) from error


@contextmanager
def _limited_modules(tensors: int) -> Iterator[None]:
    """Refuse a network with far more modules than a file with so many tensors can fill."""
    left = _FREE_MODULES + _MODULES_PER_TENSOR * tensors

    def count(_parent: nn.Module, _name: str, _module: nn.Module | None) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise CheckpointRefused(
                f"config.json asks for many more layers than the {tensors} tensors of the file.",
                hint=_ZIP_HINT,
            )

    handle = register_module_module_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()


def _check_extent(shapes: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    needed = sum(tensor.numel() for tensor in shapes.values())
    stored = sum(tensor.numel() for tensor in tensors.values())
    if needed > _FREE_VALUES + _VALUES_PER_VALUE * stored:
        raise KeysDoNotFit(
            f"The network of config.json has {needed} values, but the file holds {stored}.",
            hint=_ZIP_HINT,
        )


def _check_report(module: nn.Module, report: Mapping[str, Any], kind: str) -> BuiltNetwork:
    """Return the network unless weights of its layers are missing or have other shapes."""
    mismatched = [str(entry[0]) for entry in report["mismatched_keys"]]
    missing = [name for name in report["missing_keys"] if not name.endswith(_COMPUTED)]
    unexpected = sorted(name for name in report["unexpected_keys"] if not name.endswith(_COMPUTED))
    if mismatched or report["error_msgs"]:
        raise KeysDoNotFit(
            f"The weights are not those of the {kind} in config.json: these have other shapes:"
            f" {summarize_names(mismatched or report['error_msgs'])}.",
            hint=_ZIP_HINT,
        )
    return BuiltNetwork(module, tuple(sorted(missing)), tuple(unexpected))
