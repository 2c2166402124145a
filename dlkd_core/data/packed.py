"""A data set decoded once: two sets of uint8 images with labels."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dlkd_core.data import cache, packed_file
from dlkd_core.data.decoded import Decoded, Part
from dlkd_core.data.host_images import HostImages, Images, moved
from dlkd_core.data.image import resized
from dlkd_core.data.packing import decode_all
from dlkd_core.data.reading import DEFAULT_READING, Reading
from dlkd_core.spec import DEFAULT_RESIZE, Resize


@dataclass(frozen=True)
class Split:
    """Images (N, 3, H, W) uint8, in memory or on disk, and labels (N,) int64, which are -1 where there are none."""

    images: Images
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def labelled(self) -> bool:
        """Whether the images have labels: all or none of a split."""
        return bool((self.labels >= 0).all())

    def to(self, device: torch.device) -> "Split":
        """The same split on another device."""
        return Split(moved(self.images, device), self.labels.to(device))


@dataclass(frozen=True)
class Packed:
    """A whole data set; `classes` in label order, none where no image has a label. `resize`: how sizes became one."""

    train: Split
    val: Split
    classes: tuple[str, ...]
    notices: tuple[str, ...] = ()
    resize: Resize = DEFAULT_RESIZE

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images."""
        height, width = self.train.images.shape[2:]
        return height, width

    @property
    def on_disk(self) -> bool:
        """Whether the images are more than memory was to hold."""
        return isinstance(self.train.images, HostImages)

    def to(self, device: torch.device) -> "Packed":
        """The same data set on another device."""
        return replace(self, train=self.train.to(device), val=self.val.to(device))

    def save(self, path: Path) -> None:
        """Writes the packed file."""
        splits = {
            name: packed_file.Stored(split.images, split.labels) for name, split in (("train", self.train), ("val", self.val))
        }
        packed_file.write(path, splits, packed_file.Facts(self.classes, self.notices, self.resize))


def open_dataset(path: Path, reading: Reading = DEFAULT_READING) -> Packed:
    """A packed file, or a folder, zip or tar in one of the catalog's forms.

    Images that are more than `reading` lets into memory stay on disk; with a cache folder they are decoded once.

    Raises:
        DatasetError: what is wrong with it, naming the file or class.
    """
    if path.suffix == ".safetensors":
        return _load(path, reading)
    known = cache.kept(path, reading)
    if known is not None:
        return _load(known, replace(reading, size=None))
    packed = _from_decoded(decode_all(path, reading), reading.resize)
    if reading.cache is None or not packed.on_disk:
        return packed
    place = cache.place_of(path, reading.cache, reading)
    packed.save(place)
    return _load(place, replace(reading, size=None))


def _from_decoded(decoded: Decoded, resize: Resize) -> Packed:
    return Packed(_split(decoded.train), _split(decoded.val), decoded.classes, decoded.notices, resize)


def _split(part: Part) -> Split:
    images: Images = HostImages(part.pixels, part.rows)
    if not isinstance(part.pixels, np.memmap):
        images = torch.from_numpy(part.pixels if part.rows is None else part.pixels[part.rows])
    return Split(images, torch.from_numpy(part.labels))


def _load(path: Path, reading: Reading) -> Packed:
    """The packed file; its images brought to the size that is asked for, where they have another."""
    splits, facts = packed_file.read(path, reading.in_memory)
    if reading.size is None or splits["train"].images.shape[2:] == (reading.size, reading.size):
        return Packed(Split(*splits["train"]), Split(*splits["val"]), facts.classes, facts.notices, facts.resize)
    side = reading.size
    room = reading.room({name: (len(split.labels), 3, side, side) for name, split in splits.items()})
    for name, split in splits.items():
        for row in range(len(split.labels)):
            room[name][row] = resized(split.images[row : row + 1][0].numpy(), (side, side), reading.resize)
    train, val = (_split(Part(room[name], split.labels.numpy())) for name, split in splits.items())
    return Packed(train, val, facts.classes, facts.notices, reading.resize)
