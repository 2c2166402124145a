"""Two crops of each image: the plain ImageNet crop and the strong crop of MoCo v2.

MoCo v2: Chen et al. 2020, https://arxiv.org/abs/2003.04297. The published code applies torchvision
transforms to each image. This module applies them to a whole batch on its device. Differences:

- A crop that would extend beyond the image is cut off at the border instead of being drawn
  again.
- The order of the four color jitter steps is drawn once per batch instead of once per image.
- The blur width, published for 224 pixels, is scaled to the image size, so that small images keep
  their content.
"""

from collections.abc import Callable
from math import log

import torch
import torch.nn.functional as F
from torch import Tensor

from dlkd_core.catalog.architectures.architecture import RGB_CHANNELS

# fraction of the image's area that a crop covers
PLAIN_AREA, _STRONG_AREA = (0.08, 1.0), (0.2, 1.0)
_LOG_ASPECT_RATIO = (log(3 / 4), log(4 / 3))
_JITTER_STRENGTH, _HUE_SHIFT = 0.4, 0.1
_JITTER_PROBABILITY, _GRAYSCALE_PROBABILITY, _BLUR_PROBABILITY = 0.8, 0.2, 0.5
_BLUR_SIGMA, _BLUR_REFERENCE_SIDE = (0.1, 2.0), 224
_LUMA = (0.2989, 0.587, 0.114)


def make_moco_views(images: Tensor, generator: torch.Generator, *, flip: bool) -> Tensor:
    """Return a plain and a strongly augmented view of each image, adjacent in the batch.

    Args:
        images: (batch, C, H, W) uint8.
        generator: a CPU generator, so that all devices draw the same numbers.
        flip: whether to mirror each view with a probability of 1/2.

    Returns:
        (batch * 2, C, H, W) float32 in [0, 1].
    """
    whole = images.float() / 255
    plain = resized_crop(whole, PLAIN_AREA, generator)
    strong = resized_crop(whole, _STRONG_AREA, generator)
    strong = torch.where(
        _bernoulli_mask(strong, _JITTER_PROBABILITY, generator),
        _color_jitter(strong, generator),
        strong,
    )
    strong = torch.where(
        _bernoulli_mask(strong, _GRAYSCALE_PROBABILITY, generator),
        _grayscale(strong).expand_as(strong),
        strong,
    )
    strong = torch.where(
        _bernoulli_mask(strong, _BLUR_PROBABILITY, generator),
        _gaussian_blur(strong, generator),
        strong,
    )
    views = torch.stack([plain, strong], dim=1).flatten(0, 1)
    if not flip:
        return views
    return torch.where(_bernoulli_mask(views, 0.5, generator), views.flip(-1), views)


def _uniform(images: Tensor, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Return one uniform random number per image, (batch, 1, 1, 1)."""
    numbers = low + (high - low) * torch.rand(len(images), generator=generator)
    return numbers.to(images.device).view(-1, 1, 1, 1)


def _bernoulli_mask(images: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    return _uniform(images, 0, 1, generator) < probability


def resized_crop(
    images: Tensor, area_range: tuple[float, float], generator: torch.Generator
) -> Tensor:
    """Crop a random rectangle from each image and resize it bilinearly to the image's size."""
    _, _, height, width = images.shape
    area = _uniform(images, *area_range, generator)
    ratio = _uniform(images, *_LOG_ASPECT_RATIO, generator).exp()
    # width and height of the crop, as fractions of the image
    crop_width = (area * ratio * height / width).sqrt().clamp_max(1).flatten()
    crop_height = (area / ratio * width / height).sqrt().clamp_max(1).flatten()
    # center of the crop in [-1, 1]
    center_x, center_y = (
        _uniform(images, -1, 1, generator).flatten() * (1 - side)
        for side in (crop_width, crop_height)
    )
    zero = torch.zeros_like(crop_width)
    affine = torch.stack(
        [
            torch.stack([crop_width, zero, center_x], dim=1),
            torch.stack([zero, crop_height, center_y], dim=1),
        ],
        dim=1,
    )  # (batch, 2, 3)
    grid = F.affine_grid(affine, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _color_jitter(images: Tensor, generator: torch.Generator) -> Tensor:
    """Change brightness, contrast, saturation and hue, in a random order for the whole batch."""
    brightness, contrast, saturation = (
        _uniform(images, 1 - _JITTER_STRENGTH, 1 + _JITTER_STRENGTH, generator) for _ in range(3)
    )
    hue_shift = _uniform(images, -_HUE_SHIFT, _HUE_SHIFT, generator)
    steps: tuple[Callable[[Tensor], Tensor], ...] = (
        lambda x: x * brightness,
        lambda x: contrast * x + (1 - contrast) * _grayscale(x).mean(dim=(1, 2, 3), keepdim=True),
        lambda x: saturation * x + (1 - saturation) * _grayscale(x),
        lambda x: _shift_hue(x, hue_shift),
    )
    if images.shape[1] != RGB_CHANNELS:
        steps = steps[:2]  # the others change colors
    for step in torch.randperm(len(steps), generator=generator).tolist():
        images = steps[step](images).clamp(0, 1)
    return images


def _grayscale(images: Tensor) -> Tensor:
    """Return the luma, (batch, 1, H, W), or the mean of channels that are not RGB."""
    if images.shape[1] != RGB_CHANNELS:
        return images.mean(dim=1, keepdim=True)
    return (images * images.new_tensor(_LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)


def _shift_hue(images: Tensor, shift: Tensor) -> Tensor:
    """Shift the hue by a fraction of the color circle without changing value and saturation."""
    value, largest = images.max(dim=1, keepdim=True)
    chroma = value - images.amin(dim=1, keepdim=True)
    red, green, blue = images.unbind(dim=1)
    differences = torch.stack([green - blue, blue - red, red - green], dim=1)
    # hue in sixths of the color circle
    hue = differences.gather(1, largest) / chroma.clamp_min(1e-6) + 2 * largest
    k = (images.new_tensor([5.0, 3.0, 1.0]).view(1, 3, 1, 1) + hue + 6 * shift) % 6
    return value - chroma * torch.minimum(k, 4 - k).clamp(0, 1)


def _gaussian_blur(images: Tensor, generator: torch.Generator) -> Tensor:
    """Blur each image with a Gaussian of random width.

    The weights are normalized over the pixels inside the image.
    """
    _, _, height, width = images.shape
    sigma = _uniform(images, *_BLUR_SIGMA, generator) * min(height, width) / _BLUR_REFERENCE_SIDE
    return _blur_matrix(height, sigma) @ images @ _blur_matrix(width, sigma).transpose(2, 3)


def _blur_matrix(side: int, sigma: Tensor) -> Tensor:
    """Return blur matrices (batch, 1, side, side). Each row holds one blurred pixel's weights."""
    positions = torch.arange(side, device=sigma.device, dtype=sigma.dtype)
    weights = (-((positions[:, None] - positions) ** 2) / (2 * sigma**2)).exp()
    return weights / weights.sum(dim=3, keepdim=True)
