"""Files of safetensors (https://github.com/huggingface/safetensors): the header is checked before a tensor is made."""

import json
from math import prod
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from dlkd_core.errors import CheckpointRefused, CheckpointUnreadable
from dlkd_core.teachers.sniff import HEADER_LIMIT

UNTRAINED = "untrained"  # in our students' metadata: the layers that are there for their shape alone
_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
_MAX_TENSORS = 100_000
_MAX_EXTENT = 1 << 48  # product of the sides that are not 0: torch fails at a tensor of any more, even one without values


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors by name.

    Raises:
        CheckpointUnreadable: the header is damaged, or disagrees with the file's length.
        CheckpointRefused: types that are not taken, or too many tensors.
    """
    header, length = _header(path)
    spans = sorted(_span(name, entry) for name, entry in header.items())
    end = 0
    for begin, stop, name in spans:
        if begin != end:
            raise _damaged(f"{name} overlaps another tensor, or bytes lie between them that belong to none")
        end = stop
    if end != length:
        raise _damaged(f"it speaks of {end} bytes of values and the file has {length}")
    try:
        return load_file(path)
    except Exception as error:  # a hostile header can fail in any way: sides that no tensor can have, metadata that is no text
        raise _damaged(str(error)) from error


def untrained_layers(path: Path) -> list[str]:
    """The names of the classifiers of one of our students that were never trained; none of all other files, sound ones."""
    with safe_open(path, framework="pt") as file:
        told = (file.metadata() or {}).get(UNTRAINED)
    return told.split(",") if told else []


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """The entries by name, and the number of bytes after the header."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(HEADER_LIMIT, size - 8):
            raise _damaged(f"it claims {length} bytes and the file has {size}")
        text = file.read(length)
    try:
        header = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise _damaged("it is no JSON with unique names") from error
    if not isinstance(header, dict):
        raise _damaged("it is no JSON object")
    header.pop("__metadata__", None)
    if not 0 < len(header) <= _MAX_TENSORS:
        raise CheckpointRefused(f"The file holds {len(header)} tensors.", hint="Send the weights of one network.")
    return header, size - 8 - length


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        raise ValueError("a name appears twice")
    return entries


def _span(name: str, entry: Any) -> tuple[int, int, str]:
    """Where the tensor's bytes begin and end; its type and shape must give just that length."""
    try:
        dtype, shape, (begin, stop) = entry["dtype"], entry["shape"], entry["data_offsets"]
        numbers, width = [begin, stop, *shape], _BYTES.get(dtype)
    except (TypeError, KeyError, ValueError) as error:
        raise _damaged(f"{name} has no dtype, shape and data_offsets") from error
    if width is None:
        raise CheckpointRefused(f"{name} holds values of type {dtype}.", hint="Send the weights in float32 or float16.")
    sound = all(type(number) is int and number >= 0 for number in numbers)
    if not sound or stop - begin != prod(shape) * width or prod(side or 1 for side in shape) > _MAX_EXTENT:
        raise _damaged(f"the bytes {begin} to {stop} of {name} do not fit its shape {shape} of {dtype}")
    return begin, stop, name


def _damaged(why: str) -> CheckpointUnreadable:
    return CheckpointUnreadable(f"The safetensors header is damaged, or the file is cut off: {why}.")
