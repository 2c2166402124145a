"""Images that stay where they are: on disk, or in the host's memory when a GPU's does not hold them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Index = slice | Tensor
_CHUNK_BYTES = 4 << 20
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class HostImages:
    """(N, 3, H, W) uint8, of which only what is asked for becomes a tensor, on `device`.

    `pixels` is an array or a memory-mapped one; `rows` (N,) are the images in it, None for all.
    """

    pixels: npt.NDArray[np.uint8]
    rows: npt.NDArray[np.int64] | None = None
    device: torch.device = _CPU

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Index) -> Tensor:
        """Some of them, (M, 3, H, W), by a slice or by rows (M,): a copy, so that what lies on disk stays as it is."""
        places = index if isinstance(index, slice) else index.cpu().numpy()
        wanted = places if self.rows is None else self.rows[places]
        found = self.pixels[wanted]
        copied = found.copy() if isinstance(wanted, slice) else np.ascontiguousarray(found)  # rows are copied by NumPy
        return torch.from_numpy(copied).to(self.device)

    @property
    def shape(self) -> torch.Size:
        """As of a tensor."""
        count = len(self.pixels) if self.rows is None else len(self.rows)
        return torch.Size((count, *self.pixels.shape[1:]))

    @property
    def nbytes(self) -> int:
        """Of all of them."""
        return prod(self.shape)

    def to(self, device: torch.device) -> "HostImages":
        """The same, whose batches go to another device."""
        return replace(self, device=device)


Images = Tensor | HostImages


def in_chunks(images: Images) -> Iterator[Tensor]:
    """All images in order, some megabytes at a time."""
    count = max(1, _CHUNK_BYTES // prod(images.shape[1:]))
    for at in range(0, len(images), count):
        yield images[at : at + count]


def moved(images: Images, device: torch.device) -> Images:
    """The images on a device; those that would take more than half of a GPU's free memory stay on the host."""
    if isinstance(images, Tensor) and device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        if images.device.type == "cpu" and images.nbytes > free // 2:
            return HostImages(images.numpy(), device=device)
    return images.to(device)
