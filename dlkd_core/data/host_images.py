"""Images that are kept on disk or in host memory and moved to the device in batches."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dlkd_core.errors import ImagesDoNotFit

Index = slice | Tensor
_CHUNK_BYTES = 4 << 20
_LUMA_BITS = 16
_LUMA_WEIGHTS, _LUMA_HALF = (19595, 38470, 7471), 1 << (_LUMA_BITS - 1)
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class HostImages:
    """Images (N, C, H, W) uint8 in host memory or on disk. Indexing copies images to `device`.

    Args:
        pixels: array or memory-mapped array (M, C, H, W).
        rows: indices of the images in `pixels`, (N,). If None, all images are used.
        device: device of the tensors that indexing returns.
        channels: number of channels to which the images are converted. If None, they are not.
    """

    pixels: npt.NDArray[np.uint8]
    rows: npt.NDArray[np.int64] | None = None
    device: torch.device = _CPU
    channels: int | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Index) -> Tensor:
        """Return copies (M, C, H, W) of the images that a slice or indices (M,) select."""
        requested = index if isinstance(index, slice) else index.cpu().numpy()
        rows = requested if self.rows is None else self.rows[requested]
        pixels = self.pixels[rows]
        # In NumPy, a slice returns a view, whereas an index array returns a copy.
        copied = pixels.copy() if isinstance(rows, slice) else np.ascontiguousarray(pixels)
        images = torch.from_numpy(copied).to(self.device)
        return images if self.channels is None else convert_pixels(images, self.channels)

    @property
    def shape(self) -> torch.Size:
        """Shape (N, C, H, W)."""
        count = len(self.pixels) if self.rows is None else len(self.rows)
        channels, *size = self.pixels.shape[1:]
        return torch.Size((count, self.channels or channels, *size))

    @property
    def nbytes(self) -> int:
        """Total size in bytes."""
        return prod(self.shape)

    def to(self, device: torch.device) -> "HostImages":
        """Return the same images with another target device. The pixels are not moved."""
        return replace(self, device=device)


Images = Tensor | HostImages


def convert_channels(images: Images, channels: int) -> Images:
    """Convert images (N, C, H, W) uint8 between grayscale and RGB.

    Grayscale images become RGB without a copy, and images on disk are converted when they are read.

    Raises:
        ImagesDoNotFit: the images have another number of channels, and neither is 1 or 3.
    """
    present = images.shape[1]
    if present == channels:
        return images
    if {present, channels} != {1, 3}:
        raise ImagesDoNotFit(
            f"The images have {present} channels, and {channels} are needed. Only grayscale and RGB"
            " images can be converted to each other.",
            pointer="/dataset",
        )
    if isinstance(images, HostImages):
        return replace(images, channels=channels)
    if channels > present:
        return convert_pixels(images, channels)
    return torch.cat([convert_pixels(chunk, channels) for chunk in iter_chunks(images)])


def convert_pixels(images: Tensor, channels: int) -> Tensor:
    """Convert images (N, C, H, W) uint8 from grayscale to RGB or from RGB to grayscale.

    Gray values are computed as in Pillow (ITU-R 601-2).
    """
    if channels == images.shape[1]:
        return images
    if channels > 1:
        return images.expand(-1, channels, -1, -1)
    weights = torch.tensor(_LUMA_WEIGHTS, dtype=torch.int32, device=images.device)
    sums = (images.int() * weights.view(1, -1, 1, 1)).sum(dim=1, keepdim=True)
    return ((sums + _LUMA_HALF) >> _LUMA_BITS).to(torch.uint8)


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
