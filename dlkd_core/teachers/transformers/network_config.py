"""Checks of config.json before transformers builds a network from it.

The values come from an untrusted file. Those that would import code or download something are
removed, and sizes that no image classifier has are refused.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from dlkd_core.catalog.architectures.architecture import MAX_CHANNELS, MAX_CLASSES, RGB_CHANNELS
from dlkd_core.errors import CheckpointRefused
from dlkd_core.teachers.reading.declared_classes import find_class_names

_MAX_DEPTH = 6
_MAX_VALUE = 1_000_000
_MAX_ITEMS = 1000
_MAX_PATCHES = 4096  # patches that are all compared with each other
_MAX_LOCAL_PATCHES = 1 << 16
# In these kinds, no layer compares all patches: they have windows or convolutions, or their patches
# are those of smaller maps.
_LOCAL_KINDS = {
    *("convnext", "convnextv2", "dinat", "focalnet", "mobilevit", "mobilevitv2", "poolformer"),
    *("swin", "swinv2"),
}
_MAX_LEVIT_SIDE = 64  # LeViT compares every pair of patches in Python while it is built
# Limits of entries whose names contain these words
_LIMITS = {"image_size": 1024, "window_size": 64, "padding": 16}
_DEFAULT_SIDE = 224
# The class names have their own checks.
_CLASS_KEYS = ("id2label", "label2id")
# Entries that choose code, other weights or precision instead of layers. So do all names that
# start with an underscore.
_REMOVED = {
    *("auto_map", "custom_pipelines", "attn_implementation", "experts_implementation"),
    *("quantization_config", "use_kernels", "kernel_config", "torch_dtype", "dtype"),
    *("backbone", "use_timm_backbone", "use_pretrained_backbone", "torchscript"),
}
# These take text, pixels as text, or images with their own positions.
_OTHER_INPUTS = {"imagegpt", "perceiver", "shieldgemma2", "siglip2"}


def model_type(config: Mapping[str, Any]) -> str | None:
    """Return the name that transformers gives to the kind of network, or None if there is none."""
    name = config.get("model_type")
    return name if isinstance(name, str) and name else None


def clean_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries that describe layers, after checking their sizes.

    Raises:
        CheckpointRefused: The network does not classify images, or an entry is too large.
    """
    kind = model_type(config)
    if kind in _OTHER_INPUTS:
        raise CheckpointRefused(
            f"{kind} takes more than a batch of images, which a teacher gets.",
            hint="Use a network that takes pixel_values and returns logits.",
        )
    cleaned: dict[str, Any] = _remove_entries(config, 0)
    for name, value in _iter_numbers(cleaned, ""):
        limit = next((limit for word, limit in _LIMITS.items() if word in name), _MAX_VALUE)
        if not -limit <= value <= limit:
            raise _too_large_error(f"{name} is {value}", limit)
    _check_patches(config)
    if not 1 <= input_channels(config) <= MAX_CHANNELS:
        raise _too_large_error(f"num_channels is {input_channels(config)}", MAX_CHANNELS)
    labels = config.get("id2label")
    if isinstance(labels, Mapping) and len(labels) > MAX_CLASSES:
        raise _too_large_error(f"there are {len(labels)} classes", MAX_CLASSES)
    return cleaned


def _check_patches(config: Mapping[str, Any]) -> None:
    side, patch = max(image_sides(config)), _nested(config, "patch_size")
    limit = _MAX_LOCAL_PATCHES if model_type(config) in _LOCAL_KINDS else _MAX_PATCHES
    if isinstance(patch, int) and patch > 0 and (side // patch) ** 2 > limit:
        raise _too_large_error(f"the images have {(side // patch) ** 2} patches", limit)
    if model_type(config) == "levit":
        stride = config.get("stride", 2)
        is_number = isinstance(stride, int) and stride > 0
        if not is_number or side / stride**4 > _MAX_LEVIT_SIDE:
            raise _too_large_error(f"the stride of levit is {stride}", _MAX_LEVIT_SIDE)


def image_sides(config: Mapping[str, Any]) -> tuple[int, int]:
    """Return the height and width of the images for which the network was built."""
    size = _nested(config, "image_size")
    if isinstance(size, list | tuple) and len(size) == 2:
        height, width = size
    else:
        height = width = size
    if not (isinstance(height, int) and isinstance(width, int)) or min(height, width) < 1:
        return _DEFAULT_SIDE, _DEFAULT_SIDE
    return height, width


def stated_side(config: Mapping[str, Any]) -> int | None:
    """Return the side of the images for which the network was built, if the file states it."""
    return image_sides(config)[0] if _nested(config, "image_size") else None


def input_channels(config: Mapping[str, Any]) -> int:
    """Return the number of channels of the images that the network takes."""
    channels = _nested(config, "num_channels")
    return channels if isinstance(channels, int) else RGB_CHANNELS


def class_names(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the classes, or nothing if the file has only placeholders."""
    return find_class_names({"id2label": config.get("id2label")})


def _nested(config: Mapping[str, Any], name: str) -> Any:
    """Return an entry of the configuration, or of that of its image tower."""
    vision = config.get("vision_config")
    inner = vision.get(name) if isinstance(vision, Mapping) else None
    return config.get(name, inner)


def _remove_entries(values: Any, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise CheckpointRefused(f"config.json is nested more than {_MAX_DEPTH} levels deep.")
    if isinstance(values, Mapping):
        return {
            key: value if key in _CLASS_KEYS else _remove_entries(value, depth + 1)
            for key, value in values.items()
            if key not in _REMOVED and not key.startswith("_")
        }
    if isinstance(values, list):
        if len(values) > _MAX_ITEMS:
            raise _too_large_error(f"a list has {len(values)} values", _MAX_ITEMS)
        return [_remove_entries(value, depth + 1) for value in values]
    return values


def _iter_numbers(values: Any, name: str) -> Iterator[tuple[str, float]]:
    if isinstance(values, Mapping):
        for key, value in values.items():
            if key not in _CLASS_KEYS:
                yield from _iter_numbers(value, str(key))
    elif isinstance(values, list):
        for value in values:
            yield from _iter_numbers(value, name)
    elif isinstance(values, int | float):
        yield name, values


def _too_large_error(found: str, limit: int) -> CheckpointRefused:
    return CheckpointRefused(
        f"No image classifier has such a config.json: {found}, and the limit is {limit}.",
        hint="Zip the folder that save_pretrained has written.",
    )
