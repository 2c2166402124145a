"""Two crops of an image: the plain one of ImageNet training and that of MoCo v2 (Chen et al. 2020, https://arxiv.org/abs/2003.04297).

torchvision's transforms of the published code, for a whole batch on its device. Different: a crop that would leave the image is
cut to it, not drawn anew; the four steps of the colour jitter come in one order a batch, not one an image; the blur's width is
that of 224 pixels, in proportion to the image, so that small images keep their content.
"""

from math import log

import torch
import torch.nn.functional as F
from torch import Tensor

_PLAIN, _STRONG = (0.08, 1.0), (0.2, 1.0)  # a crop's share of the image's area
_RATIO = (log(3 / 4), log(4 / 3))  # of its sides
_STRENGTH, _HUE = 0.4, 0.1
_JITTERED, _GREYED, _BLURRED = 0.8, 0.2, 0.5  # probabilities
_SIGMA, _SIGMA_SIDE = (0.1, 2.0), 224
_LUMA = (0.2989, 0.587, 0.114)


def two_crops(images: Tensor, generator: torch.Generator, *, flip: bool) -> Tensor:
    """The plain and the strong view of each image, adjacent.

    Args:
        images: (B, 3, H, W) uint8.
        generator: on the CPU whatever the device.
        flip: mirror half of the views.

    Returns:
        (B * 2, 3, H, W) float32 in [0, 1].
    """
    whole = images.float() / 255
    plain, strong = (_resized_crop(whole, share, generator) for share in (_PLAIN, _STRONG))
    strong = torch.where(_chosen(strong, _JITTERED, generator), _jittered(strong, generator), strong)
    strong = torch.where(_chosen(strong, _GREYED, generator), _grey(strong).expand_as(strong), strong)
    strong = torch.where(_chosen(strong, _BLURRED, generator), _blurred(strong, generator), strong)
    both = torch.stack([plain, strong], dim=1).flatten(0, 1)
    return torch.where(_chosen(both, 0.5, generator), both.flip(-1), both) if flip else both


def _drawn(like: Tensor, low: float, high: float, generator: torch.Generator) -> Tensor:
    """A number for each image, (B, 1, 1, 1)."""
    return (low + (high - low) * torch.rand(len(like), generator=generator)).to(like.device).view(-1, 1, 1, 1)


def _chosen(like: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    return _drawn(like, 0, 1, generator) < probability


def _resized_crop(images: Tensor, share: tuple[float, float], generator: torch.Generator) -> Tensor:
    """A rectangle of each image at the image's own size; bilinear."""
    _, _, height, width = images.shape
    area, ratio = _drawn(images, *share, generator), _drawn(images, *_RATIO, generator).exp()  # of the whole, of the sides
    wide = (area * ratio * height / width).sqrt().clamp_max(1).flatten()  # in widths of the image
    high = (area / ratio * width / height).sqrt().clamp_max(1).flatten()
    left, top = (_drawn(images, -1, 1, generator).flatten() * (1 - side) for side in (wide, high))  # centres, of [-1, 1]
    zero = torch.zeros_like(wide)
    frames = torch.stack([torch.stack([wide, zero, left], dim=1), torch.stack([zero, high, top], dim=1)], dim=1)
    grid = F.affine_grid(frames, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _jittered(images: Tensor, generator: torch.Generator) -> Tensor:
    """Brightness, contrast, saturation and hue, in an order drawn for the batch."""
    bright, contrast, saturation = (_drawn(images, 1 - _STRENGTH, 1 + _STRENGTH, generator) for _ in range(3))
    turn = _drawn(images, -_HUE, _HUE, generator)
    steps = (
        lambda x: x * bright,
        lambda x: contrast * x + (1 - contrast) * _grey(x).mean(dim=(1, 2, 3), keepdim=True),
        lambda x: saturation * x + (1 - saturation) * _grey(x),
        lambda x: _turned(x, turn),
    )
    for step in torch.randperm(len(steps), generator=generator).tolist():
        images = steps[step](images).clamp(0, 1)
    return images


def _grey(images: Tensor) -> Tensor:
    """(B, 1, H, W)."""
    return (images * images.new_tensor(_LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)


def _turned(images: Tensor, turn: Tensor) -> Tensor:
    """The hue moved by a share of its circle; value and saturation stay."""
    value, largest = images.max(dim=1, keepdim=True)
    chroma = value - images.amin(dim=1, keepdim=True)
    across = torch.stack([images[:, 1] - images[:, 2], images[:, 2] - images[:, 0], images[:, 0] - images[:, 1]], dim=1)
    hue = across.gather(1, largest) / chroma.clamp_min(1e-6) + 2 * largest  # in sixths of the circle
    k = (images.new_tensor([5.0, 3.0, 1.0]).view(1, 3, 1, 1) + hue + 6 * turn) % 6
    return value - chroma * torch.minimum(k, 4 - k).clamp(0, 1)


def _blurred(images: Tensor, generator: torch.Generator) -> Tensor:
    """Gaussian, of another width in each image; at the borders what is outside counts nothing."""
    _, _, height, width = images.shape
    sigma = _drawn(images, *_SIGMA, generator) * min(height, width) / _SIGMA_SIDE
    return _mixing(height, sigma) @ images @ _mixing(width, sigma).transpose(2, 3)


def _mixing(side: int, sigma: Tensor) -> Tensor:
    """(B, 1, side, side): each row the weights that make one blurred pixel."""
    place = torch.arange(side, device=sigma.device, dtype=sigma.dtype)
    weights = (-((place[:, None] - place) ** 2) / (2 * sigma**2)).exp()
    return weights / weights.sum(dim=3, keepdim=True)
