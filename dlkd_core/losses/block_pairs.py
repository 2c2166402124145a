"""Pairs the block outputs of two networks, even if their numbers, sizes and widths differ."""

from collections.abc import Sequence
from typing import TypeVar

import torch.nn.functional as F
from torch import Tensor, nn

from dlkd_core.errors import SpecError
from dlkd_core.losses.base_loss import LossContext
from dlkd_core.network_outputs import Outputs

Block = TypeVar("Block")

_STAGES_OF_ONE_SIZE = 3


def pair_blocks(student: Sequence[Block], teacher: Sequence[Block]) -> list[tuple[Block, Block]]:
    """Pair the blocks of two networks, starting with the deepest.

    The pairs are returned in order from shallow to deep. If one network has more blocks, its
    shallowest blocks stay unpaired.
    """
    count = min(len(student), len(teacher))
    return list(zip(student[len(student) - count :], teacher[len(teacher) - count :], strict=True))


def pair_stages(
    student: Sequence[tuple[int, ...]], teacher: Sequence[tuple[int, ...]]
) -> list[tuple[int, int]]:
    """Return pairs of block indices of two networks, one per stage, starting with the shallowest.

    `student` and `teacher` are the shapes (C, H, W) of the blocks. A stage ends with the last block
    of its size. Networks that keep one size, such as ViT, are divided into three equal stages.

    Raises:
        SpecError: one of the networks does not expose its block outputs.
    """
    pairs = pair_blocks(_stage_ends(student), _stage_ends(teacher))
    if not pairs:
        raise _no_blocks_error()
    return pairs


def _stage_ends(shapes: Sequence[tuple[int, ...]]) -> list[int]:
    last_of_size = {shape[1:]: index for index, shape in enumerate(shapes)}
    if len(last_of_size) > 1 or not shapes:
        return sorted(last_of_size.values())
    stages = min(_STAGES_OF_ONE_SIZE, len(shapes))
    return [len(shapes) * (stage + 1) // stages - 1 for stage in range(stages)]


def pair_block_shapes(context: LossContext) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Return the shapes (C, H, W) of the paired blocks.

    Raises:
        SpecError: one of the networks does not expose its block outputs.
    """
    pairs = pair_blocks(context.student_shapes.feature_maps, context.require_teacher().feature_maps)
    if not pairs:
        raise _no_blocks_error()
    return pairs


def _no_blocks_error() -> SpecError:
    return SpecError(
        "The method compares block outputs, but one of the networks exposes none.",
        hint="Use a method that compares logits or features: kd, dkd, dist, dlkd, crd, pkt or rkd.",
        pointer="/method",
    )


def pool_to_same_size(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Average-pool two feature maps (N, C, H, W) to the smaller height and the smaller width."""
    size = min(student.shape[2], teacher.shape[2]), min(student.shape[3], teacher.shape[3])
    return F.adaptive_avg_pool2d(student, size), F.adaptive_avg_pool2d(teacher, size)


def pooled_block_pairs(student: Outputs, teacher: Outputs) -> list[tuple[Tensor, Tensor]]:
    """Return the paired block outputs of two networks, with each pair pooled to the same size."""
    pairs = pair_blocks(student.feature_maps, teacher.feature_maps)
    return [pool_to_same_size(student_map, teacher_map) for student_map, teacher_map in pairs]


def attention_map(maps: Tensor) -> Tensor:
    """Return the normalized mean square over channels. Maps (N, C, H, W) to (N, H * W)."""
    return F.normalize(maps.square().mean(dim=1).flatten(1))


def has_exact_convolution(student_shape: tuple[int, ...], teacher_shape: tuple[int, ...]) -> bool:
    """Return whether one of RepDistiller's convolutions maps the student's size to the teacher's.

    If none does, the caller pools the larger feature map instead.
    """
    (_, h, w), (_, H, W) = student_shape, teacher_shape
    return (h, w) in ((2 * H, 2 * W), (H, W)) or (2 * h, 2 * w) == (H, W) or (h >= H and w >= W)


def make_regressor_convolution(
    student_shape: tuple[int, ...], teacher_shape: tuple[int, ...]
) -> nn.Module:
    """Return RepDistiller's convolution from the student's block shape to the teacher's.

    If `has_exact_convolution` is false, the convolution changes the width only.
    """
    (c, h, w), (C, H, W) = student_shape, teacher_shape
    if (h, w) == (2 * H, 2 * W):
        return nn.Conv2d(c, C, 3, stride=2, padding=1)
    if (2 * h, 2 * w) == (H, W):
        return nn.ConvTranspose2d(c, C, 4, stride=2, padding=1)
    if has_exact_convolution(student_shape, teacher_shape):
        return nn.Conv2d(c, C, (1 + h - H, 1 + w - W))
    return nn.Conv2d(c, C, 1)
