"""Detection of a checkpoint's format from its first bytes.

The API checks an upload with this module before all of it has arrived, so it does not import torch.
"""

import re
from enum import StrEnum

from dlkd_core.errors import CheckpointUnreadable
from dlkd_core.safetensors_header import MAX_HEADER_BYTES, header_length


class CheckpointFormat(StrEnum):
    """File formats in which a teacher can be uploaded."""

    TORCH = "torch"
    SAFETENSORS = "safetensors"
    ONNX = "onnx"


# The first bytes of files that are often uploaded by mistake, and a description of each for the
# error message.
_COMMON_MISTAKES = (
    (
        re.compile(rb"version https://git-lfs"),
        "a Git LFS pointer; upload the file that it points to",
    ),
    (
        re.compile(rb"\s*<(!doctype|html|\?xml)", re.IGNORECASE),
        "a web page; the download returned a page instead of the file",
    ),
    (re.compile(rb"\x1f\x8b"), "a gzip archive; unpack it first"),
    (re.compile(rb"\x89HDF"), "an HDF5 file, as written by Keras"),
    (re.compile(rb"....TFL3", re.DOTALL), "a TensorFlow Lite model"),
)


def detect_format(head: bytes) -> CheckpointFormat:
    """Detect the format from a file's first bytes.

    The first 16 bytes are enough to recognize a checkpoint. If the file is something else, a few
    hundred bytes are needed to name its type in the error message.

    Raises:
        CheckpointUnreadable: The bytes are not the beginning of a checkpoint.
    """
    if 2 <= header_length(head) <= MAX_HEADER_BYTES and head[8:9] == b"{":
        return CheckpointFormat.SAFETENSORS
    if head.startswith(b"PK\x03\x04") or re.match(
        rb"\x80[\x02-\x05]", head
    ):  # a zip archive or a pickle
        return CheckpointFormat.TORCH
    # an ONNX ModelProto: the field ir_version, then one of the next fields
    if re.match(rb"\x08[\x01-\x40][\x12\x1a\x22\x28\x32\x3a\x42]", head):
        return CheckpointFormat.ONNX
    raise CheckpointUnreadable(f"The file is not a checkpoint: {_describe(head)}.")


def _describe(head: bytes) -> str:
    if not head:
        return "it is empty"
    for pattern, description in _COMMON_MISTAKES:
        if pattern.match(head):
            return f"it is {description}"
    return "it is text" if _is_text(head) else "its first bytes match no known weight format"


def _is_text(head: bytes) -> bool:
    # the cut may split a multi-byte character
    text = head[:512].decode("utf-8", errors="replace").rstrip("\ufffd")
    return "\ufffd" not in text and all(
        character.isprintable() or character.isspace() for character in text
    )
