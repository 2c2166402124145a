"""The packed file: a dataset as safetensors (https://huggingface.co/docs/safetensors).

This module can write and read the file without holding the images in memory. The safetensors
library is not used for this, because its functions take and return whole tensors and write the
metadata in random order. It can, however, read the files that this module writes.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from dlkd_core import safetensors_header
from dlkd_core.data.host_images import HostImages, Images, iter_chunks
from dlkd_core.errors import ArchiveUnreadable
from dlkd_core.spec import DEFAULT_RESIZE, ResizeMode

_FORMAT = "dlkd-packed-1"
_SPLITS = ("train", "val")  # in every file; a test split is optional
_NAMES = "val.names"
_NAME_SEPARATOR = "\0"  # no file name can contain it


class StoredSplit(NamedTuple):
    """A split with images (N, 3, H, W) uint8 and labels (N,) int64."""

    images: Images
    labels: Tensor


@dataclass(frozen=True)
class DatasetMetadata:
    """Metadata of a packed dataset. The fields have the same meaning as in `ImageDataset`."""

    classes: tuple[str, ...]
    notices: tuple[str, ...] = ()
    resize: ResizeMode = DEFAULT_RESIZE
    val_names: tuple[str, ...] = ()


def write_packed(path: Path, splits: Mapping[str, StoredSplit], metadata: DatasetMetadata) -> None:
    """Write a packed file.

    The file is first written under a temporary name in the same folder and then renamed, so a file
    at `path` is always complete. Equal datasets produce identical files.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            header = json.dumps(_build_header(splits, metadata), separators=(",", ":"))
            file.write(safetensors_header.encode_header(header.encode()))
            for split in splits.values():
                file.write(split.labels.numpy().astype("<i8").tobytes())
            for split in splits.values():
                for chunk in iter_chunks(split.images):
                    file.write(chunk.contiguous().numpy().data)
            file.write(_encode_names(metadata))
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)


def read_packed(path: Path, memory_budget: int) -> tuple[dict[str, StoredSplit], DatasetMetadata]:
    """Read a packed file.

    If the images of all splits together take at most `memory_budget` bytes, they are loaded into
    memory. Otherwise they are memory-mapped.

    Raises:
        ArchiveUnreadable: the file is not a packed file, or is incomplete.
    """
    try:
        header, data_offset = _read_header(path)
        metadata = _parse_metadata(header["__metadata__"], _read_names(path, header, data_offset))
        names = (*_SPLITS, "test") if "test.images" in header else _SPLITS
        size = sum(prod(header[f"{name}.images"]["shape"]) for name in names)
        if size <= memory_budget:
            return _load_splits(path, names), metadata
        splits = {name: _map_split(path, header, data_offset, name) for name in names}
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ArchiveUnreadable(f"The packed dataset cannot be read: {error!r}") from error
    return splits, metadata


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    """Return the header and the offset at which the tensors begin."""
    try:
        text, data_offset = safetensors_header.read_header(path)
    except ValueError as error:
        raise ArchiveUnreadable(
            "The safetensors file is not a packed dataset, or it is truncated."
        ) from error
    header = json.loads(text)
    if header.get("__metadata__", {}).get("format") != _FORMAT:
        raise ArchiveUnreadable("The safetensors file is not a packed dataset.")
    return header, data_offset


def _encode_names(metadata: DatasetMetadata) -> bytes:
    return _NAME_SEPARATOR.join(metadata.val_names).encode()


def _read_names(path: Path, header: dict[str, Any], data_offset: int) -> tuple[str, ...]:
    """Return the names of the evaluation images. They are a tensor, because they can be many."""
    if _NAMES not in header:
        return ()
    start, end = header[_NAMES]["data_offsets"]
    with path.open("rb") as file:
        file.seek(data_offset + start)
        content = file.read(end - start)
    if len(content) < end - start:
        raise ValueError("the names are incomplete")
    return tuple(content.decode().split(_NAME_SEPARATOR))


def _parse_metadata(values: Mapping[str, str], val_names: tuple[str, ...]) -> DatasetMetadata:
    return DatasetMetadata(
        classes=tuple(json.loads(values["classes"])),
        notices=tuple(json.loads(values["notices"])),
        resize=json.loads(values.get("resize", json.dumps(DEFAULT_RESIZE))),
        val_names=val_names,
    )


def _load_splits(path: Path, names: Sequence[str]) -> dict[str, StoredSplit]:
    with safe_open(path, framework="pt") as file:
        return {
            name: StoredSplit(file.get_tensor(f"{name}.images"), file.get_tensor(f"{name}.labels"))
            for name in names
        }


def _map_split(path: Path, header: dict[str, Any], data_offset: int, name: str) -> StoredSplit:
    """Memory-map the images of a split read-only, and read its labels.

    A read-only mapping does not count toward the memory limit of a process, and the system can
    reclaim the mapped pages at any time. The safetensors library uses private mappings instead,
    which count toward the limit like a copy in memory.
    """
    images, labels = header[f"{name}.images"], header[f"{name}.labels"]
    images_offset = data_offset + images["data_offsets"][0]
    labels_offset = data_offset + labels["data_offsets"][0]
    pixels = np.memmap(path, np.uint8, "r", images_offset, tuple(images["shape"]))
    label_values = np.fromfile(path, "<i8", labels["shape"][0], offset=labels_offset)
    return StoredSplit(HostImages(pixels), torch.from_numpy(label_values))


def _build_header(splits: Mapping[str, StoredSplit], metadata: DatasetMetadata) -> dict[str, Any]:
    header: dict[str, Any] = {
        "__metadata__": {
            "format": _FORMAT,
            "classes": json.dumps(metadata.classes),
            "notices": json.dumps(metadata.notices),
            "resize": json.dumps(metadata.resize),
        }
    }
    offset = 0
    # The labels come first. Their type is wider, so this order keeps all tensors aligned.
    for kind, dtype, itemsize in (("labels", "I64", 8), ("images", "U8", 1)):
        for name, split in splits.items():
            shape = [*(split.labels if kind == "labels" else split.images).shape]
            end = offset + prod(shape) * itemsize
            header[f"{name}.{kind}"] = {
                "dtype": dtype,
                "shape": shape,
                "data_offsets": [offset, end],
            }
            offset = end
    if metadata.val_names:
        size = len(_encode_names(metadata))
        header[_NAMES] = {"dtype": "U8", "shape": [size], "data_offsets": [offset, offset + size]}
    return header
