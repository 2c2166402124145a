"""A checkpoint as a flat dictionary of dense, finite tensors. Nothing that a file holds is ever run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dlkd_core.errors import CheckpointRefused, CheckpointUnreadable
from dlkd_core.teachers.safetensors_file import read_safetensors, untrained_layers
from dlkd_core.teachers.sniff import Format, sniff_format
from dlkd_core.teachers.torch_file import read_torch
from dlkd_core.teachers.unwrap import find_tensors, plain_names

_HEAD = 1024
_DTYPES = {
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
}


@dataclass(frozen=True)
class Checkpoint:
    """The weights of one network, by layer name, without wrappings and prefixes. On the CPU, in the file's own dtypes."""

    format: Format
    tensors: dict[str, Tensor]


def read_checkpoint(path: Path) -> Checkpoint:
    """The weights in a file, whose content alone says what it is.

    Raises:
        CheckpointUnreadable: no checkpoint, damaged, or cut off.
        CheckpointRefused: needs code to be read, or holds something else than dense, finite weights.
    """
    kind = format_of(path)
    if kind == "onnx":
        raise CheckpointRefused(
            "The file is an ONNX graph, not the weights of a network.", hint="Send the network's state dict or safetensors."
        )
    tensors = _of_safetensors(path) if kind == "safetensors" else find_tensors(read_torch(path))
    for name, tensor in tensors.items():
        _check_kind(name, tensor)
    _check_extent(tensors, path.stat().st_size)
    _check_finite(tensors)
    return Checkpoint(kind, plain_names(tensors))


def _of_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors; without the classifier of a student that has none but its shape."""
    tensors = read_safetensors(path)
    untrained = tuple(f"{layer}." for layer in untrained_layers(path))
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(untrained)}


def format_of(path: Path) -> Format:
    """What the file's first bytes say; `CheckpointUnreadable` where it is no format of teachers."""
    try:
        with path.open("rb") as file:
            return sniff_format(file.read(_HEAD))
    except OSError as error:
        raise CheckpointUnreadable(f"The file cannot be opened: {error.strerror}.", hint="Check the path.") from error


def _check_kind(name: str, tensor: Tensor) -> None:
    if tensor.is_quantized or tensor.dtype not in _DTYPES:
        kind = str(tensor.dtype).removeprefix("torch.")
        raise CheckpointRefused(
            f"{name} holds values of type {kind}.", hint="Send the weights in float32 or float16, not quantised."
        )
    if tensor.layout != torch.strided or tensor.device.type != "cpu":
        kind = "sparse" if tensor.is_sparse else str(tensor.layout if tensor.device.type == "cpu" else tensor.device)
        raise CheckpointRefused(f"{name} is a {kind} tensor.", hint="Send dense weights: tensor.to_dense() before saving.")


def _check_extent(tensors: Mapping[str, Tensor], size: int) -> None:
    """A few bytes can claim to be tensors of any size: their values must be in the file, one by one."""
    for name, tensor in tensors.items():
        if tensor.nbytes > tensor.untyped_storage().nbytes():
            raise CheckpointRefused(
                f"{name} repeats values of a smaller tensor.", hint="Save a copy of it: tensor.contiguous() or tensor.clone()."
            )
    if sum(tensor.nbytes for tensor in tensors.values()) > size:
        raise CheckpointRefused(
            "The tensors claim more values than the file has bytes for.", hint="Save a copy of each tensor: tensor.clone()."
        )


def _check_finite(tensors: Mapping[str, Tensor]) -> None:
    broken = [name for name, tensor in tensors.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if broken:
        raise CheckpointRefused(
            f"{len(broken)} of {len(tensors)} tensors hold NaN or infinity, the first is {broken[0]}.",
            hint="The training of this network diverged: send an earlier checkpoint.",
        )
