"""Reads checkpoints of all supported formats into flat dictionaries of dense, finite tensors.

No file content is ever executed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dlkd_core.errors import CheckpointRefused, CheckpointUnreadable
from dlkd_core.teachers.reading.checkpoint_limits import check_shape, check_tensor_count
from dlkd_core.teachers.reading.declared_classes import find_class_names
from dlkd_core.teachers.reading.declared_names import find_declared_names
from dlkd_core.teachers.reading.file_format import CheckpointFormat, detect_format
from dlkd_core.teachers.reading.safetensors_reader import (
    read_metadata,
    read_safetensors,
    untrained_layers,
)
from dlkd_core.teachers.reading.state_dict import (
    find_state_dict,
    merge_reparametrizations,
    strip_prefixes,
)
from dlkd_core.teachers.reading.torch_reader import read_torch

_HEADER_BYTES = 1024
# Layers can share weights, which a file holds once. In CoaT, they add up to 1.5 times the file.
_MAX_SHARING = 4
_ALLOWED_DTYPES = {
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
}


@dataclass(frozen=True)
class Checkpoint:
    """The weights of one network, and what else the file says about it.

    Attributes:
        format: Format of the file.
        tensors: Weights by name, without the prefixes that wrappers add. They are on the CPU and
            keep the dtypes of the file.
        declared_names: Names that the file gives to the architecture, the most likely first.
        class_names: Names that the file gives to the classes, in their order.
    """

    format: CheckpointFormat
    tensors: dict[str, Tensor]
    declared_names: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()


def read_checkpoint(path: Path) -> Checkpoint:
    """Read the weights in a file. The format is detected from the content, not from the name.

    Raises:
        CheckpointUnreadable: The file is not a checkpoint, or is damaged or truncated.
        CheckpointRefused: Reading would execute code, or the file holds anything other than dense,
            finite weights.
    """
    file_format, tensors, saved = _read_file(path)
    return Checkpoint(
        file_format,
        strip_prefixes(tensors),
        find_declared_names(saved),
        find_class_names(saved),
    )


def read_tensors(path: Path) -> tuple[CheckpointFormat, dict[str, Tensor]]:
    """Read the weights in a file like `read_checkpoint`, with the names that the file gives them.

    Raises:
        CheckpointUnreadable: See `read_checkpoint`.
        CheckpointRefused: See `read_checkpoint`.
    """
    file_format, tensors, _ = _read_file(path)
    return file_format, tensors


def _read_file(path: Path) -> tuple[CheckpointFormat, dict[str, Tensor], Any]:
    """Return a file's format, its weights, and all that it holds or its metadata."""
    file_format = detect_file_format(path)
    if file_format == CheckpointFormat.ONNX:
        raise CheckpointRefused(
            "The file is an ONNX graph, not the weights of a network.",
            hint="Send the network's state dict or a safetensors file.",
        )
    if file_format == CheckpointFormat.SAFETENSORS:
        tensors = _read_safetensors(path)
        saved: Any = read_metadata(path)
    else:
        saved = read_torch(path)
        tensors = find_state_dict(saved)
    check_tensor_count(len(tensors))
    for name, tensor in tensors.items():
        check_shape(name, tensor.shape)
        _check_dtype(name, tensor)
    _check_extent(tensors, path.stat().st_size)
    merged = merge_reparametrizations(tensors)
    _check_finite(merged)
    return file_format, merged, saved


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors, except those of untrained classifiers in exported students."""
    tensors = read_safetensors(path)
    untrained = tuple(f"{layer}." for layer in untrained_layers(path))
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(untrained)}


def detect_file_format(path: Path) -> CheckpointFormat:
    """Detect a file's format from its first bytes.

    Raises:
        CheckpointUnreadable: The file cannot be opened or is not a checkpoint.
    """
    try:
        with path.open("rb") as file:
            return detect_format(file.read(_HEADER_BYTES))
    except OSError as error:
        raise CheckpointUnreadable(
            f"The file cannot be opened: {error.strerror}.", hint="Check the path."
        ) from error


def _check_dtype(name: str, tensor: Tensor) -> None:
    if tensor.is_quantized or tensor.dtype not in _ALLOWED_DTYPES:
        dtype = str(tensor.dtype).removeprefix("torch.")
        raise CheckpointRefused(
            f"{name} holds values of the unsupported type {dtype}.",
            hint="Send the weights in float32 or float16, not quantized.",
        )
    if tensor.layout != torch.strided or tensor.device.type != "cpu":
        if tensor.is_sparse:
            kind = "sparse"
        else:
            kind = str(tensor.layout if tensor.device.type == "cpu" else tensor.device)
        raise CheckpointRefused(
            f"{name} is a {kind} tensor, which is not supported.",
            hint="Send dense weights: call tensor.to_dense() before saving.",
        )


def _check_extent(tensors: Mapping[str, Tensor], size: int) -> None:
    """Check that the values are stored in the file, and that few tensors share them.

    Without this check, a file of a few bytes could claim to contain tensors of any size.
    """
    for name, tensor in tensors.items():
        if tensor.nbytes > tensor.untyped_storage().nbytes():
            raise CheckpointRefused(
                f"{name} is a view that repeats the values of a smaller tensor.",
                hint="Save a copy of the tensor: tensor.contiguous() or tensor.clone().",
            )
    if sum(tensor.nbytes for tensor in tensors.values()) > _MAX_SHARING * size:
        raise CheckpointRefused(
            "The tensors claim to contain more values than the file can hold.",
            hint="Save a copy of each tensor: tensor.clone().",
        )


def _check_finite(tensors: Mapping[str, Tensor]) -> None:
    not_finite = [
        name
        for name, tensor in tensors.items()
        if tensor.is_floating_point() and not _is_finite(tensor)
    ]
    if not_finite:
        raise CheckpointRefused(
            f"{len(not_finite)} of {len(tensors)} tensors contain NaN or infinity. "
            f"The first is {not_finite[0]}.",
            hint="The training of this network diverged. Send an earlier checkpoint.",
        )


def _is_finite(tensor: Tensor) -> bool:
    # teachers run in float32
    values = tensor.float() if tensor.dtype == torch.float64 else tensor
    return bool(values.isfinite().all())
