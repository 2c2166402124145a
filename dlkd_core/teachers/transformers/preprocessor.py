"""The input normalization and image size that preprocessor_config.json states."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from dlkd_core.spec import Normalization

_BYTE_SCALE = 1 / 255
_MAX_NUMBER = 1e6  # JSON knows integers that are no floats


def read_normalization(preprocessor: Mapping[str, Any], channels: int) -> Normalization | None:
    """Return the normalization of images in [0, 1], or None if the file does not state one."""
    rescales = preprocessor.get("do_rescale") is not False
    scale = preprocessor.get("rescale_factor", _BYTE_SCALE) if rescales else 1.0
    mean, std = preprocessor.get("image_mean"), preprocessor.get("image_std")
    if preprocessor.get("do_normalize") is False:
        mean, std = 0.0, 1.0
    means, stds = _per_channel(mean, channels), _per_channel(std, channels)
    if means is None or stds is None or not _is_number(scale) or scale <= 0:
        return None
    offset = 1.0 if preprocessor.get("rescale_offset") is True and rescales else 0.0
    # EfficientNet divides by the standard deviation a second time.
    power = 2 if preprocessor.get("include_top") is True and mean != 0.0 else 1
    factor = 255 * scale
    try:
        return Normalization(
            mean=tuple((value + offset) / factor for value in means),
            std=tuple(value**power / factor for value in stds),
        )
    except ValidationError:
        return None


def read_image_side(preprocessor: Mapping[str, Any]) -> int | None:
    """Return the side of the images that the network was trained on, if the file states it."""
    for key in ("crop_size", "size"):
        if key == "crop_size" and preprocessor.get("do_center_crop") is False:
            continue
        size = preprocessor.get(key)
        if isinstance(size, Mapping):
            size = size.get("height", size.get("shortest_edge"))
        if isinstance(size, int) and 1 <= size <= 1024:
            return size
    return None


def flips_channels(preprocessor: Mapping[str, Any]) -> bool:
    """Return whether the network takes blue, green and red, as MobileViT does."""
    return preprocessor.get("do_flip_channel_order") is True


def _per_channel(value: Any, channels: int) -> tuple[float, ...] | None:
    values = [value] * channels if _is_number(value) else value
    if not isinstance(values, list) or len(values) != channels:
        return None
    return tuple(map(float, values)) if all(map(_is_number, values)) else None


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and -_MAX_NUMBER < value < _MAX_NUMBER
