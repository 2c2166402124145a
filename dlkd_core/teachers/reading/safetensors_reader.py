"""Reader for safetensors files (https://github.com/huggingface/safetensors).

The header is checked before any tensor is created.
"""

import json
from math import prod
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from dlkd_core.errors import CheckpointRefused, CheckpointUnreadable
from dlkd_core.memory_limits import raise_if_out_of_memory
from dlkd_core.safetensors_header import read_header
from dlkd_core.teachers.reading.checkpoint_limits import (
    CHECKPOINT_LIMITS,
    check_shape,
    check_tensor_count,
)

# Metadata key in exported students. Its value names layers that are stored only for their shape.
UNTRAINED_KEY = "untrained"
_DTYPE_BYTES = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors by name.

    Raises:
        CheckpointUnreadable: The header is damaged or does not match the file's length.
        CheckpointRefused: The file has unsupported dtypes or too many tensors.
    """
    header, data_length = _read_header(path)
    spans = sorted(_parse_span(name, entry) for name, entry in header.items())
    previous_end = 0
    for begin, end, name in spans:
        if begin != previous_end:
            raise _damaged_error(
                f"{name} overlaps another tensor, or there are unused bytes before it"
            )
        previous_end = end
    if previous_end != data_length:
        raise _damaged_error(
            f"the header describes {previous_end} bytes of values, but the file has {data_length}"
        )
    try:
        return load_file(path)
    except Exception as error:
        raise_if_out_of_memory(error, "the checkpoint")
        # A hostile header can fail in any way: impossible dimensions, metadata that is not text.
        raise _damaged_error(str(error)) from error


def untrained_layers(path: Path) -> list[str]:
    """Return the names of untrained classifiers in a student that this project exported.

    The list is empty for all other safetensors files.
    """
    names = read_metadata(path).get(UNTRAINED_KEY)
    layers = names.split(",") if names else []
    if len(layers) > CHECKPOINT_LIMITS.untrained_layers:
        raise CheckpointRefused(
            f"The metadata names {len(layers)} untrained layers, more than the limit of"
            f" {CHECKPOINT_LIMITS.untrained_layers}.",
            hint="Remove the metadata of the file.",
        )
    return layers


def read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata in the header of a file that `read_safetensors` has accepted."""
    with safe_open(path, framework="pt") as file:
        return file.metadata() or {}


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    """Return the header's entries by name, and the number of bytes after the header."""
    try:
        text, data_offset = read_header(path, CHECKPOINT_LIMITS.header_bytes)
    except ValueError as error:
        raise _damaged_error(str(error)) from error
    try:
        header = json.loads(text, object_pairs_hook=_reject_duplicate_keys)
    except (ValueError, RecursionError) as error:
        raise _damaged_error("the header is not JSON with unique keys") from error
    if not isinstance(header, dict):
        raise _damaged_error("the header is not a JSON object")
    header.pop("__metadata__", None)
    check_tensor_count(len(header))
    return header, path.stat().st_size - data_offset


def _reject_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        raise ValueError("duplicate key")
    return entries


def _parse_span(name: str, entry: Any) -> tuple[int, int, str]:
    """Return the byte range of a tensor after checking it against its dtype and shape."""
    try:
        dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        numbers, item_size = [begin, end, *shape], _DTYPE_BYTES.get(dtype)
    except (TypeError, KeyError, ValueError) as error:
        raise _damaged_error(f"{name} must have dtype, shape and data_offsets") from error
    if item_size is None:
        raise CheckpointRefused(
            f"{name} holds values of the unsupported type {dtype}.",
            hint="Send the weights in float32 or float16.",
        )
    are_counts = all(type(number) is int and number >= 0 for number in numbers)
    if are_counts:
        check_shape(name, shape)
    if not are_counts or end - begin != prod(shape) * item_size:
        raise _damaged_error(
            f"bytes {begin} to {end} of {name} do not match its shape {shape} and dtype {dtype}"
        )
    return begin, end, name


def _damaged_error(reason: str) -> CheckpointUnreadable:
    return CheckpointUnreadable(
        f"The safetensors header is damaged, or the file is truncated: {reason}."
    )
