"""Limits on the contents of a teacher file.

The largest network of the catalog has 2,681 tensors. This module is torch-free.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from dlkd_core.errors import CheckpointRefused


@dataclass(frozen=True)
class CheckpointLimits:
    """Limits on the contents of a teacher file. They are checked before the values are used.

    Args:
        max_tensors: number of tensors.
        max_members: number of files in the zip archive that torch.save writes. A checkpoint may
            also contain the tensors of an optimizer.
        max_dimensions: number of dimensions of one tensor.
        max_extent: product of the non-zero dimensions of one tensor. torch fails above it, even for
            a tensor without values.
        nesting_depth: number of dictionaries around the weights.
        header_bytes: size of the header of a safetensors file.
        untrained_layers: number of layers that a student of this service may name as untrained.
    """

    max_tensors: int = 10_000
    max_members: int = 50_000
    max_dimensions: int = 8
    max_extent: int = 1 << 40
    nesting_depth: int = 5
    header_bytes: int = 16 << 20
    untrained_layers: int = 100


CHECKPOINT_LIMITS = CheckpointLimits()


def check_tensor_count(count: int) -> None:
    """Raise `CheckpointRefused` if a file has no tensors or too many."""
    if not 0 < count <= CHECKPOINT_LIMITS.max_tensors:
        raise CheckpointRefused(
            f"The file holds {count} tensors. A checkpoint must have 1 to "
            f"{CHECKPOINT_LIMITS.max_tensors}.",
            hint="Send the weights of one network.",
        )


def check_shape(name: str, shape: Sequence[int]) -> None:
    """Raise `CheckpointRefused` if a tensor has too many or too large dimensions."""
    limits = CHECKPOINT_LIMITS
    if len(shape) > limits.max_dimensions:
        raise CheckpointRefused(
            f"{name} has {len(shape)} dimensions, more than the limit of {limits.max_dimensions}.",
            hint="Send the weights of an image classifier.",
        )
    if any(side > limits.max_extent for side in shape) or (
        prod(side or 1 for side in shape) > limits.max_extent
    ):
        raise CheckpointRefused(
            f"{name} has an impossible shape: the product of its dimensions exceeds"
            f" {limits.max_extent}.",
            hint="Send the weights of an image classifier.",
        )
