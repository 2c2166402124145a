"""The packed file: safetensors (https://huggingface.co/docs/safetensors), written and read without holding the images in memory.

The library's own functions take and give whole tensors, and write metadata in a random order; its `safe_open` reads ours.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from dlkd_core.data.host_images import HostImages, Images, in_chunks
from dlkd_core.errors import ArchiveUnreadable
from dlkd_core.spec import DEFAULT_RESIZE, Resize

_FORMAT = "dlkd-packed-1"
_SPLITS = ("train", "val")
_ALIGNED = 8


class Stored(NamedTuple):
    """A split: images (N, 3, H, W) uint8, labels (N,) int64."""

    images: Images
    labels: Tensor


@dataclass(frozen=True)
class Facts:
    """What is said of the whole set."""

    classes: tuple[str, ...]
    notices: tuple[str, ...] = ()
    resize: Resize = DEFAULT_RESIZE


def write(path: Path, splits: Mapping[str, Stored], facts: Facts) -> None:
    """Writes beside `path` and renames: a file of that name is a whole one, and equal sets are equal files."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            header = json.dumps(_header(splits, facts), separators=(",", ":")).encode()
            header += b" " * (-len(header) % _ALIGNED)
            file.write(len(header).to_bytes(8, "little") + header)
            for split in splits.values():
                file.write(split.labels.numpy().astype("<i8").tobytes())
            for split in splits.values():
                _write_images(file, split.images)
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)


def read(path: Path, in_memory: int) -> tuple[dict[str, Stored], Facts]:
    """The splits, their images in memory where those of all splits take at most `in_memory` bytes.

    Raises:
        ArchiveUnreadable: no whole packed file.
    """
    try:
        header, begin = _read_header(path)
        told = header["__metadata__"]
        classes, notices = (tuple(json.loads(told[name])) for name in ("classes", "notices"))
        facts = Facts(classes, notices, json.loads(told.get("resize", json.dumps(DEFAULT_RESIZE))))
        size = sum(prod(header[f"{name}.images"]["shape"]) for name in _SPLITS)
        splits = _loaded(path) if size <= in_memory else {name: _mapped(path, header, begin, name) for name in _SPLITS}
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ArchiveUnreadable(f"The packed data set cannot be read: {error!r}") from error
    return splits, facts


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    """The header, and where the tensors begin."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > path.stat().st_size:
            raise ArchiveUnreadable("The safetensors file is not a packed data set, or is cut off.")
        header = json.loads(file.read(length))
    if header.get("__metadata__", {}).get("format") != _FORMAT:
        raise ArchiveUnreadable("The safetensors file is not a packed data set.")
    return header, 8 + length


def _loaded(path: Path) -> dict[str, Stored]:
    with safe_open(path, framework="pt") as file:
        return {name: Stored(file.get_tensor(f"{name}.images"), file.get_tensor(f"{name}.labels")) for name in _SPLITS}


def _mapped(path: Path, header: dict[str, Any], begin: int, name: str) -> Stored:
    """A split as it lies in the file, mapped to be read alone: it counts as nobody's memory, and the system has it back at will.

    The library maps files privately, which counts against the limit of a process as a copy would.
    """
    images, labels = (header[f"{name}.{kind}"] for kind in ("images", "labels"))
    pixels = np.memmap(path, np.uint8, "r", begin + images["data_offsets"][0], tuple(images["shape"]))
    known = np.fromfile(path, "<i8", labels["shape"][0], offset=begin + labels["data_offsets"][0])
    return Stored(HostImages(pixels), torch.from_numpy(known))


def _header(splits: Mapping[str, Stored], facts: Facts) -> dict[str, Any]:
    told = {"format": _FORMAT, "classes": facts.classes, "notices": facts.notices, "resize": facts.resize}
    header: dict[str, Any] = {
        "__metadata__": {name: value if name == "format" else json.dumps(value) for name, value in told.items()}
    }
    at = 0
    for kind, dtype in (("labels", "I64"), ("images", "U8")):  # the wider numbers first: all of them stay aligned
        for name, split in splits.items():
            shape = [*(split.labels if kind == "labels" else split.images).shape]
            end = at + prod(shape) * (8 if dtype == "I64" else 1)
            header[f"{name}.{kind}"] = {"dtype": dtype, "shape": shape, "data_offsets": [at, end]}
            at = end
    return header


def _write_images(file: IO[bytes], images: Images) -> None:
    for some in in_chunks(images):
        file.write(some.contiguous().numpy().data)
