"""Block outputs of two networks side by side, whatever their number, sizes and widths."""

from collections.abc import Sequence
from typing import TypeVar

import torch.nn.functional as F
from torch import Tensor

from dlkd_core.errors import SpecError
from dlkd_core.losses.term import Setting

Block = TypeVar("Block")


def paired(ours: Sequence[Block], theirs: Sequence[Block]) -> list[tuple[Block, Block]]:
    """The blocks of two networks in pairs, shallow to deep; where one has more, its shallowest stay alone."""
    count = min(len(ours), len(theirs))
    return list(zip(ours[len(ours) - count :], theirs[len(theirs) - count :], strict=True))


def paired_shapes(setting: Setting) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The shapes (C, H, W) of the paired blocks; SpecError where a network shows none."""
    pairs = paired(setting.student.maps, setting.taught().maps)
    if not pairs:
        raise SpecError(
            "The method compares block outputs, and one of the networks shows none.",
            hint="Use a method of logits or features: kd, dkd, dist, dlkd, crd, pkt, rkd.",
            pointer="/method",
        )
    return pairs


def same_size(ours: Tensor, theirs: Tensor) -> tuple[Tensor, Tensor]:
    """Both maps (N, C, H, W) at the smaller height and width, by mean pooling."""
    size = min(ours.shape[2], theirs.shape[2]), min(ours.shape[3], theirs.shape[3])
    return F.adaptive_avg_pool2d(ours, size), F.adaptive_avg_pool2d(theirs, size)
