"""Augmented views of images, made in batches on the device.

The steps follow the code of the DLKD paper (dataset/cifar100.py in https://github.com/ifding/DLKD):
flip the image once, rotate it by 0 to 3 quarter turns, pad each view with zeros and crop it at
random. The crops of MoCo and the resized crop are made by `moco_crops` instead. All random numbers
are derived from one seed, so every step can be reproduced.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dlkd_core.catalog.methods.base_method import ViewKind
from dlkd_core.data.augmentation.moco_crops import PLAIN_AREA, make_moco_views, resized_crop
from dlkd_core.errors import SpecError
from dlkd_core.training_spec import AugmentationPolicy

VIEW_COUNTS = {
    ViewKind.SINGLE: 1,
    ViewKind.ROTATION4: 4,
    ViewKind.MOCO: 2,
    ViewKind.RESIZED_CROP: 1,
}


@dataclass(frozen=True)
class Augmentation:
    """Settings for the augmentation of training images.

    Args:
        kind: kind of views.
        padding: zero padding in pixels before a random crop. Ignored for the kinds `moco` and
            `resized_crop`, which crop differently.
        flip: whether to mirror each image with a probability of 1/2.
        policy: random operations on each view.
        mixup: parameter of mixup, or None.
        cutmix: parameter of CutMix, or None.
    """

    kind: ViewKind = ViewKind.SINGLE
    padding: int = 4
    flip: bool = True
    policy: AugmentationPolicy = AugmentationPolicy.NONE
    mixup: float | None = None
    cutmix: float | None = None

    @property
    def view_count(self) -> int:
        """Number of views per image."""
        return VIEW_COUNTS[self.kind]

    @property
    def mixes_images(self) -> bool:
        """Whether the images of a batch are mixed."""
        return self.mixup is not None or self.cutmix is not None


def make_views(images: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """Return augmented views. They are not mixed yet.

    Args:
        images: (batch, 3, H, W) uint8.
        augmentation: kind of views and their settings.
        generator: a CPU generator, so that all devices draw the same numbers.

    Returns:
        (batch * views, 3, H, W) float32 in [0, 1]. The views of an image are adjacent, and the
        least augmented one comes first.

    Raises:
        SpecError: the views are rotated, but the images are not square.
    """
    views = _make_views(images, augmentation, generator)
    if augmentation.policy == AugmentationPolicy.NONE:
        return views if views.is_floating_point() else views.float().div_(255)
    if views.is_floating_point():
        views = (views * 255).round_().to(torch.uint8)
    # Imports torchvision, which takes seconds and is otherwise only needed for its networks.
    from dlkd_core.data.augmentation.auto_augment import apply_policy

    return apply_policy(views, augmentation.policy, generator).float().div_(255)


def _make_views(images: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """Return the views before random operations, as uint8 or as float32 in [0, 1]."""
    if augmentation.kind == ViewKind.MOCO:
        return make_moco_views(images, generator, flip=augmentation.flip)
    batch = len(images)
    if augmentation.flip:
        mirrored = (torch.rand(batch, generator=generator) < 0.5).to(images.device)
        images = torch.where(mirrored.view(-1, 1, 1, 1), images.flip(-1), images)
    if augmentation.kind == ViewKind.RESIZED_CROP:
        return resized_crop(images.float() / 255, PLAIN_AREA, generator)
    if augmentation.kind == ViewKind.ROTATION4:
        images = _rotate(images)
    if augmentation.padding:
        images = _random_crop(images, augmentation.padding, generator)
    return images


def _rotate(images: Tensor) -> Tensor:
    height, width = images.shape[2:]
    if height != width:
        raise SpecError(
            f"Rotated views need square images, but these are {height} x {width}.",
            hint='Set method.views to "single", or make the images square.',
            pointer="/method/views",
        )
    rotated = [torch.rot90(images, turns, (2, 3)) for turns in range(4)]
    return torch.stack(rotated, dim=1).flatten(0, 1)


def _random_crop(images: Tensor, padding: int, generator: torch.Generator) -> Tensor:
    count, _, height, width = images.shape
    offsets = torch.randint(0, 2 * padding + 1, (2, count), generator=generator).to(images.device)
    windows = F.pad(images, (padding,) * 4).unfold(2, height, 1).unfold(3, width, 1)
    return windows[torch.arange(count, device=images.device), :, *offsets]  # (count, 3, H, W)
