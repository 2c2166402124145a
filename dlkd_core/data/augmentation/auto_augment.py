"""Random image operations with torchvision's augmentation policies, in batches on the device.

TrivialAugment: Müller and Hutter 2021, https://arxiv.org/abs/2103.10158. RandAugment: Cubuk et al.
2020, https://arxiv.org/abs/1909.13719.

torchvision draws an operation and its magnitude for each call. Here, an operation is drawn for each
image, and each operation is applied once to all images that drew it. These images therefore share
a magnitude. The distribution for a single image is that of torchvision.
"""

import torch
from torch import Tensor
from torchvision.transforms import v2

from dlkd_core.training_spec import AugmentationPolicy

_MAGNITUDES = 31  # number of magnitudes of an operation
_RAND_AUGMENT_OPERATIONS, _RAND_AUGMENT_MAGNITUDE = 2, 9  # torchvision's defaults


def apply_policy(images: Tensor, policy: AugmentationPolicy, generator: torch.Generator) -> Tensor:
    """Apply one random operation (TrivialAugment) or two (RandAugment) to each image.

    Args:
        images: (batch, 3, H, W) uint8.
        policy: the policy. NONE returns the images unchanged.
        generator: a CPU generator, so that all devices draw the same numbers.

    Returns:
        (batch, 3, H, W) uint8.
    """
    if policy == AugmentationPolicy.TRIVIAL_AUGMENT:
        return _apply_random_operations(images, v2.TrivialAugmentWide(), generator)
    if policy == AugmentationPolicy.RAND_AUGMENT:
        for _ in range(_RAND_AUGMENT_OPERATIONS):
            images = _apply_random_operations(
                images, v2.RandAugment(), generator, _RAND_AUGMENT_MAGNITUDE
            )
    return images


def _apply_random_operations(
    images: Tensor,
    transform: v2.TrivialAugmentWide | v2.RandAugment,
    generator: torch.Generator,
    magnitude: int | None = None,
) -> Tensor:
    """Apply one operation to each image. If `magnitude` is None, each operation draws its own."""
    operations = transform._AUGMENTATION_SPACE  # noqa: SLF001 - torchvision has no public list
    choices = torch.randint(len(operations), (len(images),), generator=generator)
    drawn = torch.randint(_MAGNITUDES, (len(operations),), generator=generator).tolist()
    signs = (2 * torch.randint(2, (len(operations),), generator=generator) - 1).tolist()
    result = images.clone()
    for index, (name, (list_magnitudes, is_signed)) in enumerate(operations.items()):
        rows = (choices == index).nonzero().flatten().to(images.device)
        if not len(rows):
            continue
        magnitudes = list_magnitudes(_MAGNITUDES, *images.shape[2:])
        strength = 0.0
        if magnitudes is not None:
            strength = float(magnitudes[drawn[index] if magnitude is None else magnitude])
        result[rows] = transform._apply_image_or_video_transform(  # noqa: SLF001
            images[rows],
            name,
            strength * signs[index] if is_signed else strength,
            transform.interpolation,
            transform._fill,  # noqa: SLF001
        )
    return result
