"""What the first bytes of a checkpoint say. No torch here: the service asks before the rest of an upload has come."""

import re
from typing import Literal

from dlkd_core.errors import CheckpointUnreadable

Format = Literal["torch", "safetensors", "onnx"]

HEADER_LIMIT = 100_000_000  # bytes of a safetensors header; the format's own limit

# What people send by mistake: how it begins, and what it is.
_KNOWN = (
    (re.compile(rb"version https://git-lfs"), "a Git LFS pointer, not the file that it points to"),
    (re.compile(rb"\s*<(!doctype|html|\?xml)", re.IGNORECASE), "a web page: the download gave a page in place of the file"),
    (re.compile(rb"\x1f\x8b"), "gzip: unpack it first"),
    (re.compile(rb"\x89HDF"), "HDF5, as Keras writes it"),
    (re.compile(rb"....TFL3", re.DOTALL), "a TensorFlow Lite model"),
)


def sniff_format(first: bytes) -> Format:
    """The format by a file's first bytes (16 are enough for a checkpoint, some hundred to say what else it is).

    Raises:
        CheckpointUnreadable: no checkpoint begins like this.
    """
    if _is_safetensors(first):
        return "safetensors"
    if first.startswith(b"PK\x03\x04") or re.match(rb"\x80[\x02-\x05]", first):  # a zip, a pickle
        return "torch"
    if re.match(rb"\x08[\x01-\x40][\x12\x1a\x22\x28\x32\x3a\x42]", first):  # ModelProto: ir_version, then one of its next fields
        return "onnx"
    raise CheckpointUnreadable(f"The file is no checkpoint: {_described(first)}.")


def _is_safetensors(first: bytes) -> bool:
    return 2 <= int.from_bytes(first[:8], "little") <= HEADER_LIMIT and first[8:9] == b"{"


def _described(first: bytes) -> str:
    if not first:
        return "it is empty"
    found = next((name for pattern, name in _KNOWN if pattern.match(first)), None)
    if found:
        return f"it is {found}"
    return "it is text" if _is_text(first) else "it begins like no format of weights"


def _is_text(first: bytes) -> bool:
    text = first[:512].decode("utf-8", errors="replace").rstrip("\ufffd")  # the cut may halve a character
    return "\ufffd" not in text and all(character.isprintable() or character.isspace() for character in text)
