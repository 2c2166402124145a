"""Images that are kept on disk or in host memory and moved to the device in batches."""

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
    """Images (N, 3, H, W) uint8 in host memory or on disk. Indexing copies images to `device`.

    Args:
        pixels: array or memory-mapped array (M, 3, H, W).
        rows: indices of the images in `pixels`, (N,). If None, all images are used.
        device: device of the tensors that indexing returns.
    """

    pixels: npt.NDArray[np.uint8]
    rows: npt.NDArray[np.int64] | None = None
    device: torch.device = _CPU

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Index) -> Tensor:
        """Return copies (M, 3, H, W) of the images that a slice or indices (M,) select."""
        requested = index if isinstance(index, slice) else index.cpu().numpy()
        rows = requested if self.rows is None else self.rows[requested]
        pixels = self.pixels[rows]
        # In NumPy, a slice returns a view, whereas an index array returns a copy.
        copied = pixels.copy() if isinstance(rows, slice) else np.ascontiguousarray(pixels)
        return torch.from_numpy(copied).to(self.device)

    @property
    def shape(self) -> torch.Size:
        """Shape (N, 3, H, W)."""
        count = len(self.pixels) if self.rows is None else len(self.rows)
        return torch.Size((count, *self.pixels.shape[1:]))

    @property
    def nbytes(self) -> int:
        """Total size in bytes."""
        return prod(self.shape)

    def to(self, device: torch.device) -> "HostImages":
        """Return the same images with another target device. The pixels are not moved."""
        return replace(self, device=device)


Images = Tensor | HostImages


def iter_chunks(images: Images) -> Iterator[Tensor]:
    """Iterate over all images in order, in chunks of about 4 MiB."""
    count = max(1, _CHUNK_BYTES // prod(images.shape[1:]))
    for start in range(0, len(images), count):
        yield images[start : start + count]


def move_images(images: Images, device: torch.device) -> Images:
    """Return the images on a device.

    Images stay in host memory if they would take more than half of the GPU's free memory.
    """
    if isinstance(images, Tensor) and device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        if images.device.type == "cpu" and images.nbytes > free // 2:
            return HostImages(images.numpy(), device=device)
    return images.to(device)
