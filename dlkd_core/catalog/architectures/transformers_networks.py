"""Names of the networks of Hugging Face transformers, which are teachers but not in the catalog.

This module does not import torch.
"""

from collections.abc import Mapping
from typing import Any

TRANSFORMERS_PREFIX = "transformers/"


def is_transformers_network(name: str) -> bool:
    """Return whether a teacher's architecture is a network of transformers, not of the catalog."""
    return name.startswith(TRANSFORMERS_PREFIX)


def describe_size_mismatch(
    name: str, options: Mapping[str, Any], size: tuple[int, int]
) -> str | None:
    """Return why a network of transformers rejects images of this size, or None if it does not.

    `options` state the image size of a network that takes no other. `size` is the height and width
    of the images.
    """
    side = options.get("image_size")
    if side is None or size == (side, side):
        return None
    return (
        f"{name} is built for images of {side} x {side} pixels, but these have"
        f" {size[0]} x {size[1]}"
    )
