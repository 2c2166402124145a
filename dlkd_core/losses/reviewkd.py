"""Knowledge review: Chen et al. 2021, https://arxiv.org/abs/2104.09044, section 3.

The implementation matches https://github.com/dvlab-research/ReviewKD, except that the outputs of
the teacher's blocks are taken after the last ReLU, as the network returns them. The published code
takes them before the last ReLU.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlkd_core.catalog.feature_map_loss_params import ReviewKDParams
from dlkd_core.losses.base_loss import DistillationLoss, LossContext
from dlkd_core.losses.block_pairs import pair_block_shapes, pair_blocks
from dlkd_core.network_outputs import Outputs, Targets

_MAX_WIDTH = 512
_POOLED_SIZES = (4, 2, 1)  # sizes in pixels to which maps are pooled for further comparisons


class ReviewKDLoss(DistillationLoss):
    """Hierarchical context loss between the fused student stages and the teacher stages.

    L = sum_l HCL( ABF(F_S), F_T )

    The stages, from deep to shallow, are the pooled features and then the paired blocks.
    """

    def __init__(self, params: ReviewKDParams, context: LossContext) -> None:
        super().__init__(params, context)
        pairs = pair_block_shapes(context)[::-1]
        student_features = context.student_shapes.features
        teacher_features = context.require_teacher().features
        student_widths = [student_features, *(shape[0] for shape, _ in pairs)]
        teacher_widths = [teacher_features, *(shape[0] for _, shape in pairs)]
        middle = min(_MAX_WIDTH, student_features)
        self.fusions = nn.ModuleList(
            _AttentionFusion(student_width, middle, teacher_width, fuses=stage > 0)
            for stage, (student_width, teacher_width) in enumerate(
                zip(student_widths, teacher_widths, strict=True)
            )
        )

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - all terms share one signature
        stages = [(student.features[:, :, None, None], teacher.features[:, :, None, None])]
        stages += reversed(pair_blocks(student.feature_maps, teacher.feature_maps))
        loss, deeper = student.features.new_zeros(()), None
        for fusion, (student_map, teacher_map) in zip(self.fusions, stages, strict=True):
            expanded, deeper = fusion(student_map, deeper, teacher_map.shape[2:])
            loss = loss + hierarchical_context_loss(expanded, teacher_map)
        return loss


class _AttentionFusion(nn.Module):
    """Attention-based fusion (ABF) of a stage with the fused map of the deeper stages."""

    def __init__(self, student_width: int, middle: int, teacher_width: int, *, fuses: bool) -> None:
        super().__init__()
        narrow = nn.Conv2d(student_width, middle, 1, bias=False)
        wide = nn.Conv2d(middle, teacher_width, 3, padding=1, bias=False)
        for convolution in (narrow, wide):
            nn.init.kaiming_uniform_(convolution.weight, a=1)
        self.reduce = nn.Sequential(narrow, nn.BatchNorm2d(middle))
        self.expand = nn.Sequential(wide, nn.BatchNorm2d(teacher_width))
        self.attention = nn.Sequential(nn.Conv2d(2 * middle, 2, 1), nn.Sigmoid()) if fuses else None

    def forward(
        self, student: Tensor, deeper: Tensor | None, size: torch.Size
    ) -> tuple[Tensor, Tensor]:
        """Return the stage at the teacher's width and size, and the fused map for the next stage.

        The fused map is (N, middle, *size).
        """
        fused: Tensor = self.reduce(student)
        if self.attention is not None and deeper is not None:
            deeper = F.interpolate(deeper, fused.shape[2:])  # nearest
            attention = self.attention(torch.cat([fused, deeper], dim=1))  # (N, 2, h, w)
            fused = fused * attention[:, :1] + deeper * attention[:, 1:]
        fused = F.interpolate(fused, size)
        return self.expand(fused), fused


def hierarchical_context_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the hierarchical context loss (HCL) between two feature maps of the same shape.

    The loss is a weighted mean of squared errors between the whole maps and between the maps pooled
    to sizes 4, 2 and 1. The weights are 1, 1/2, 1/4 and 1/8. Sizes that are not smaller than the
    maps are skipped.
    """
    loss, weight, total = F.mse_loss(student, teacher), 1.0, 1.0
    for size in _POOLED_SIZES:
        if size < student.shape[2]:
            weight /= 2
            total += weight
            loss = loss + weight * F.mse_loss(
                F.adaptive_avg_pool2d(student, size), F.adaptive_avg_pool2d(teacher, size)
            )
    return loss / total
