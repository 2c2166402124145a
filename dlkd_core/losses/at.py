"""Attention transfer: Zagoruyko and Komodakis 2017, https://arxiv.org/abs/1612.03928, section 3.1.

The implementation matches RepDistiller and uses p = 2.
"""

from torch import Tensor

from dlkd_core.catalog.feature_map_loss_params import ATParams
from dlkd_core.losses.base_loss import DistillationLoss, LossContext, sum_losses
from dlkd_core.losses.block_pairs import attention_map, pair_block_shapes, pooled_block_pairs
from dlkd_core.network_outputs import Outputs, Targets


class ATLoss(DistillationLoss):
    """Squared difference of attention maps, summed over paired blocks.

    L = sum_l mean( Q(F_S) - Q(F_T) )^2, Q(F) = v / |v|, v = vec( mean_c F_c^2 )
    """

    def __init__(self, params: ATParams, context: LossContext) -> None:
        super().__init__(params, context)
        pair_block_shapes(context)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - all terms share one signature
        return sum_losses(
            (attention_map(student_map) - attention_map(teacher_map)).square().mean()
            for student_map, teacher_map in pooled_block_pairs(student, teacher)
        )
