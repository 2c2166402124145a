"""FitNets hints: Romero et al. 2015, https://arxiv.org/abs/1412.6550, eq. 3.

As in RepDistiller, the hint loss is minimized together with the student's other losses instead of
in a separate first stage, and the second pair of blocks is compared.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from dlkd_core.catalog.feature_map_loss_params import FitNetParams
from dlkd_core.losses.base_loss import DistillationLoss, LossContext
from dlkd_core.losses.block_pairs import (
    has_exact_convolution,
    make_regressor_convolution,
    pair_block_shapes,
    pair_blocks,
    pool_to_same_size,
)
from dlkd_core.network_outputs import Outputs, Targets

_HINT_PAIR = 1  # index of the second pair of blocks


class FitNetLoss(DistillationLoss):
    """Mean squared error between the second pair of blocks.

    L = mean ( r(F_S) - F_T )^2

    r is a convolution that maps F_S to the teacher's width and size, followed by batch norm and
    ReLU. If no such convolution exists, the larger feature map is pooled first.
    """

    def __init__(self, params: FitNetParams, context: LossContext) -> None:
        super().__init__(params, context)
        pairs = pair_block_shapes(context)
        self.pair_index = min(_HINT_PAIR, len(pairs) - 1)
        student_shape, teacher_shape = pairs[self.pair_index]
        self.needs_pooling = not has_exact_convolution(student_shape, teacher_shape)
        self.regressor = nn.Sequential(
            make_regressor_convolution(student_shape, teacher_shape),
            nn.BatchNorm2d(teacher_shape[0]),
            nn.ReLU(),
        )

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - all terms share one signature
        pairs = pair_blocks(student.feature_maps, teacher.feature_maps)
        student_map, teacher_map = pairs[self.pair_index]
        if self.needs_pooling:
            student_map, teacher_map = pool_to_same_size(student_map, teacher_map)
        return self.compute_loss(self.regressor(student_map), teacher_map)

    @staticmethod
    def compute_loss(student: Tensor, teacher: Tensor) -> Tensor:
        """Return the loss between two feature maps of the same shape."""
        return F.mse_loss(student, teacher)
