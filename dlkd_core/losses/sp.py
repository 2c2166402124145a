"""Similarity-preserving distillation: Tung and Mori 2019, https://arxiv.org/abs/1907.09682.

Implements eq. 1 to 4. The loss is applied to the last block only, as in RepDistiller.
"""

import torch.nn.functional as F
from torch import Tensor

from dlkd_core.catalog.feature_map_loss_params import SPParams
from dlkd_core.losses.base_loss import DistillationLoss, LossContext
from dlkd_core.losses.block_pairs import pair_block_shapes
from dlkd_core.network_outputs import Outputs, Targets


class SPLoss(DistillationLoss):
    """Squared difference between the Gram matrices of the last blocks.

    L = | G_T - G_S |_F^2 / B^2, G = F F^T with rows of unit length

    F is the flattened output of the last block. B is the number of rows, including all views.
    """

    def __init__(self, params: SPParams, context: LossContext) -> None:
        super().__init__(params, context)
        pair_block_shapes(context)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - all terms share one signature
        g_s = _gram_matrix(student.feature_maps[-1])
        g_t = _gram_matrix(teacher.feature_maps[-1])
        return (g_t - g_s).square().mean()


def _gram_matrix(maps: Tensor) -> Tensor:
    """Return the Gram matrix (N, N) of feature maps (N, C, H, W), with rows of unit length."""
    rows = maps.flatten(1)
    return F.normalize(rows @ rows.T)
