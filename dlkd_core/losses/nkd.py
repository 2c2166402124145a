"""Normalized knowledge distillation: Yang et al. 2023, https://arxiv.org/abs/2303.13005.

The implementation matches https://github.com/yzd-v/cls_KD (NKDLoss).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dlkd_core.catalog.loss_params import NKDParams
from dlkd_core.losses.base_loss import (
    DistillationLoss,
    LossContext,
    check_same_classes,
    first_view,
)
from dlkd_core.network_outputs import Outputs, Targets


class NKDLoss(DistillationLoss):
    """Cross-entropy with the teacher for the target and the other classes, on the first view.

    L = mean( - p_T,y log p_S,y - gamma T^2 sum_c q_T,c log q_S,c )

    p = softmax(z), without a temperature. q is the softmax of z / T over the other classes.
    """

    params: NKDParams

    def __init__(self, params: NKDParams, context: LossContext) -> None:
        super().__init__(params, context)
        check_same_classes(context)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:
        T, views = self.params.temperature, self.context.num_views
        z_s, z_t = first_view(student.logits, views), first_view(teacher.logits, views)
        rows = torch.arange(len(z_s), device=z_s.device)
        p_target = F.softmax(z_t, dim=1)[rows, targets.labels]  # (batch,)
        log_p_target = F.log_softmax(z_s, dim=1)[rows, targets.labels]
        others_s, others_t = (_other_classes(z, targets.labels) / T for z in (z_s, z_t))
        other_losses = -(F.softmax(others_t, dim=1) * F.log_softmax(others_s, dim=1)).sum(dim=1)
        return (self.params.gamma * T**2 * other_losses - p_target * log_p_target).mean()


def _other_classes(z: Tensor, labels: Tensor) -> Tensor:
    """Return the logits of all classes but the label's, (batch, classes - 1)."""
    is_other = F.one_hot(labels, z.shape[1]) == 0
    return z[is_other].view(len(z), -1)
