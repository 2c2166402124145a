"""Mixing of the images of a batch: mixup and CutMix.

mixup: Zhang et al. 2018, https://arxiv.org/abs/1710.09412. CutMix: Yun et al. 2019,
https://arxiv.org/abs/1905.04899. As in the published code, all images of a batch are mixed in the
same proportion.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Mixture(NamedTuple):
    """How each image of a batch was mixed with another one."""

    partners: Tensor  # (batch,): position of the other image in the batch
    share: float  # share of the image itself, between 0 and 1


def mix_images(
    views: Tensor,
    batch: int,
    mixup: float | None,
    cutmix: float | None,
    generator: torch.Generator,
) -> tuple[Tensor, Mixture]:
    """Mix each image with another image of the batch, with the same partner for all of its views.

    Args:
        views: (batch * views, 3, H, W).
        batch: Number of images.
        mixup: Parameter alpha of mixup's beta distribution, or None.
        cutmix: The same for CutMix, or None. If both are set, one of the two is drawn per batch.
        generator: a CPU generator, so that all devices draw the same numbers.

    Returns:
        The mixed views (batch * views, 3, H, W) and the mixture.
    """
    partners = torch.randperm(batch, generator=generator)
    use_cutmix, numpy_seed, *center = torch.randint(2**31, (4,), generator=generator).tolist()
    is_cutmix = cutmix is not None and (mixup is None or use_cutmix % 2 == 1)
    alpha = cutmix if is_cutmix else mixup
    if alpha is None:
        raise ValueError("Set mixup or cutmix.")
    share = float(np.random.default_rng(numpy_seed).beta(alpha, alpha))
    grouped = views.reshape(batch, -1, *views.shape[1:])  # (batch, views, 3, H, W)
    others = grouped[partners.to(views.device)]
    if not is_cutmix:
        return (share * grouped + (1 - share) * others).flatten(0, 1), Mixture(partners, share)

    height, width = views.shape[2:]
    top, bottom = _cut(height, share, center[0])
    left, right = _cut(width, share, center[1])
    mixed = grouped.clone()
    mixed[..., top:bottom, left:right] = others[..., top:bottom, left:right]
    kept = 1 - (bottom - top) * (right - left) / (height * width)
    return mixed.flatten(0, 1), Mixture(partners, kept)


def _cut(side: int, share: float, center: int) -> tuple[int, int]:
    """Return the start and end of the pasted box along one side. The image border cuts it off."""
    length = round(side * (1 - share) ** 0.5)
    start = center % side - length // 2
    return max(0, start), min(side, start + length)
