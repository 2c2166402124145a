"""Neuron selectivity transfer: Huang and Wang 2017, https://arxiv.org/abs/1707.01219, eq. 4.

The implementation matches RepDistiller.
"""

import torch.nn.functional as F
from torch import Tensor

from dlkd_core.catalog.feature_map_loss_params import NSTParams
from dlkd_core.losses.base_loss import DistillationLoss, LossContext, sum_losses
from dlkd_core.losses.block_pairs import pair_block_shapes, pooled_block_pairs
from dlkd_core.network_outputs import Outputs, Targets


class NSTLoss(DistillationLoss):
    """Squared MMD between the channels of student and teacher, summed over paired blocks.

    L = sum_l mean k(F_T, F_T) + mean k(F_S, F_S) - 2 mean k(F_S, F_T), k(a, b) = <a, b>^2

    The means are over pairs of channels, and each channel is scaled to unit length. MMD is the
    maximum mean discrepancy.
    """

    def __init__(self, params: NSTParams, context: LossContext) -> None:
        super().__init__(params, context)
        pair_block_shapes(context)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - all terms share one signature
        return sum_losses(_squared_mmd(*pair) for pair in pooled_block_pairs(student, teacher))


def _squared_mmd(*maps: Tensor) -> Tensor:
    """Return the squared MMD between the channels of two feature maps (N, C, H, W)."""
    student, teacher = (F.normalize(x.flatten(2), dim=2) for x in maps)  # (N, C, H * W)
    return _kernel(teacher, teacher) + _kernel(student, student) - 2 * _kernel(student, teacher)


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    """Return the mean kernel value over all images and all pairs of channels in an image."""
    return (a @ b.transpose(1, 2)).square().mean()
