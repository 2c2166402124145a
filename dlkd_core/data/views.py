"""The views of an image, made in batches on the device: mirrored once, then rotated, then each view cropped on its own.

The paper's order (Ding et al.; ifding/DLKD dataset/cifar100.py): flip, rot90 by 0..3 quarter turns, random crop of the
zero-padded image. Or two crops, see `moco`. All draws come from one seed, so that a step can be made again.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from dlkd_core.data.moco import two_crops
from dlkd_core.errors import SpecError

VIEWS = {"single": 1, "rotation4": 4, "moco": 2}


@dataclass(frozen=True)
class Augmentation:
    """What `views` does to a batch."""

    kind: str = "single"
    padding: int = 4  # not of moco, which crops in another way
    flip: bool = True

    @property
    def count(self) -> int:
        """Views of an image."""
        return VIEWS[self.kind]


def views(images: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """Augmented views.

    Args:
        images: (B, 3, H, W) uint8.
        augmentation: kind, padding in pixels, flip.
        generator: on the CPU whatever the device, so that all devices draw the same.

    Returns:
        (B * count, 3, H, W) float32 in [0, 1]; the views of an image adjacent, the plainest first.
    """
    if augmentation.kind == "moco":
        return two_crops(images, generator, flip=augmentation.flip)
    batch = len(images)
    if augmentation.flip:
        mirrored = (torch.rand(batch, generator=generator) < 0.5).to(images.device)
        images = torch.where(mirrored.view(-1, 1, 1, 1), images.flip(-1), images)
    if augmentation.kind == "rotation4":
        images = _rotations(images)
    if augmentation.padding:
        images = _crop(images, augmentation.padding, generator)
    return images.float().div_(255)


def _rotations(images: Tensor) -> Tensor:
    height, width = images.shape[2:]
    if height != width:
        raise SpecError(
            f"Rotated views need square images; these are {height} x {width}.",
            hint='Set method.views to "single", or make the images square.',
            pointer="/method/views",
        )
    return torch.stack([torch.rot90(images, turns, (2, 3)) for turns in range(4)], dim=1).flatten(0, 1)


def _crop(images: Tensor, padding: int, generator: torch.Generator) -> Tensor:
    count, _, height, width = images.shape
    offsets = torch.randint(0, 2 * padding + 1, (2, count), generator=generator).to(images.device)
    windows = torch.nn.functional.pad(images, (padding,) * 4).unfold(2, height, 1).unfold(3, width, 1)
    return windows[torch.arange(count, device=images.device), :, offsets[0], offsets[1]]  # (N, 3, H, W)
