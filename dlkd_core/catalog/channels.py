"""Number of channels of a job's images. This module does not import torch."""

from collections.abc import Mapping
from typing import Any

from dlkd_core.catalog.architectures.architecture import RGB_CHANNELS
from dlkd_core.errors import ImagesDoNotFit

GRAY_CHANNELS = 1
_CONVERTIBLE = {GRAY_CHANNELS, RGB_CHANNELS}


def input_channels(options: Mapping[str, Any]) -> int:
    """Return the number of channels of the images that a network with these options takes."""
    return int(options.get("in_channels", RGB_CHANNELS))


def resolve_channels(requested: int | None, in_dataset: int, of_teacher: int | None) -> int:
    """Return the number of channels of the images with which a student is trained.

    Args:
        requested: `dataset.channels` of the spec.
        in_dataset: Number of channels of the dataset's images.
        of_teacher: Number of channels that the teacher takes, or None if there is no teacher.

    Raises:
        ImagesDoNotFit: The dataset's images cannot be converted to this number of channels, or the
            teacher does not take them.
    """
    if requested is not None:
        channels = requested
    elif of_teacher is not None:
        channels = of_teacher
    else:
        channels = RGB_CHANNELS if in_dataset in _CONVERTIBLE else in_dataset
    if channels != in_dataset and not {channels, in_dataset} <= _CONVERTIBLE:
        needed_by = "dataset.channels is" if requested is not None else "the teacher takes"
        raise ImagesDoNotFit(
            f"The dataset's images have {in_dataset} channels, but {needed_by} {channels}. Only"
            " grayscale and RGB images can be converted to each other.",
            hint="Use images with as many channels as the teacher takes.",
            pointer="/dataset",
        )
    # A teacher for RGB images takes grayscale images, too. It sees three equal channels.
    accepted = {None, channels, RGB_CHANNELS if channels == GRAY_CHANNELS else channels}
    if of_teacher not in accepted:
        raise ImagesDoNotFit(
            f"The teacher takes images with {of_teacher} channels, but dataset.channels is"
            f" {channels}.",
            hint="Omit dataset.channels, or use another teacher.",
            pointer="/dataset/channels",
        )
    return channels
