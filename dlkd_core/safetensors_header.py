"""Reads and writes the header of safetensors files.

A file consists of the header's length in 8 bytes, the header as JSON, and the tensors' bytes. See
https://huggingface.co/docs/safetensors. This module does not import torch.
"""

from pathlib import Path

MAX_HEADER_BYTES = 100_000_000  # limit of the format itself
_LENGTH_BYTES = 8
_ALIGNMENT = 8


def header_length(head: bytes) -> int:
    """Return the length of the header's JSON, as stated in a file's first 8 bytes."""
    return int.from_bytes(head[:_LENGTH_BYTES], "little")


def read_header(path: Path, max_bytes: int = MAX_HEADER_BYTES) -> tuple[bytes, int]:
    """Return the header's JSON without parsing it, and the offset of the tensors' bytes.

    Raises:
        ValueError: The header claims to be longer than the file or than `max_bytes`.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = header_length(file.read(_LENGTH_BYTES))
        if length > size - _LENGTH_BYTES:
            raise ValueError(f"the header claims {length} bytes in a file of {size} bytes")
        if length > max_bytes:
            raise ValueError(f"the header has {length} bytes, more than the limit of {max_bytes}")
        return file.read(length), _LENGTH_BYTES + length


def split_header(content: bytes) -> tuple[bytes, bytes]:
    """Split the content of a valid file into the header's JSON and the tensors' bytes."""
    end = _LENGTH_BYTES + header_length(content)
    return content[_LENGTH_BYTES:end], content[end:]


def encode_header(text: bytes) -> bytes:
    """Encode the header's JSON together with its length.

    The JSON is padded with spaces so that the tensors stay aligned.
    """
    padded = text + b" " * (-len(text) % _ALIGNMENT)
    return len(padded).to_bytes(_LENGTH_BYTES, "little") + padded
