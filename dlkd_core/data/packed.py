"""A data set decoded once: two uint8 tensors with labels, kept as one safetensors file."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dlkd_core.data.decoded import Decoded
from dlkd_core.data.limits import DEFAULT_LIMITS, Limits
from dlkd_core.data.packing import decode_all
from dlkd_core.errors import ArchiveUnreadable

_FORMAT = "dlkd-packed-1"


@dataclass(frozen=True)
class Split:
    """Images (N, 3, H, W) uint8 and labels (N,) int64."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> "Split":
        """The same split on another device."""
        return Split(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Packed:
    """A whole data set; `classes` in label order."""

    train: Split
    val: Split
    classes: tuple[str, ...]
    notices: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images."""
        height, width = self.train.images.shape[2:]
        return height, width

    def to(self, device: torch.device) -> "Packed":
        """The same data set on another device."""
        return Packed(self.train.to(device), self.val.to(device), self.classes, self.notices)

    def save(self, path: Path) -> None:
        """Writes the packed file."""
        tensors = {
            "train.images": self.train.images,
            "train.labels": self.train.labels,
            "val.images": self.val.images,
            "val.labels": self.val.labels,
        }
        save_file(tensors, path, {"format": _FORMAT, "classes": json.dumps(self.classes), "notices": json.dumps(self.notices)})


def open_dataset(path: Path, limits: Limits = DEFAULT_LIMITS) -> Packed:
    """A packed file, or a folder, zip or tar of train/<class>/… and val/<class>/…, in memory.

    Raises:
        DatasetError: what is wrong with it, naming the file or class.
    """
    if path.suffix == ".safetensors":
        return _load(path)
    return _from_decoded(decode_all(path, limits))


def _from_decoded(decoded: Decoded) -> Packed:
    def split(name: str) -> Split:
        return Split(torch.from_numpy(decoded.images[name]), torch.from_numpy(decoded.labels[name]))

    return Packed(split("train"), split("val"), decoded.classes, decoded.notices)


def _load(path: Path) -> Packed:
    try:
        with safe_open(path, framework="pt") as file:
            facts = file.metadata() or {}
            if facts.get("format") != _FORMAT:
                raise ArchiveUnreadable("The safetensors file is not a packed data set.")
            splits = [Split(file.get_tensor(f"{name}.images"), file.get_tensor(f"{name}.labels")) for name in ("train", "val")]
            return Packed(splits[0], splits[1], tuple(json.loads(facts["classes"])), tuple(json.loads(facts["notices"])))
    except (OSError, SafetensorError) as error:
        raise ArchiveUnreadable(f"The packed data set cannot be read: {error}") from error
