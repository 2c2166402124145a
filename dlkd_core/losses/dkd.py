"""Decoupled knowledge distillation: Zhao et al. 2022, https://arxiv.org/abs/2203.08679, eq. 7.

The implementation matches https://github.com/megvii-research/mdistiller (DKD).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dlkd_core.catalog.loss_params import DKDParams
from dlkd_core.losses.base_loss import (
    DistillationLoss,
    LossContext,
    check_same_classes,
    first_view,
)
from dlkd_core.losses.standardization import check_standardizable, standardize_logits
from dlkd_core.network_outputs import Outputs, Targets

_MASK_VALUE = 1000.0  # subtracted from a logit to exclude it from the softmax


class DKDLoss(DistillationLoss):
    """Separate KL divergences for the target class and the other classes, on the first view.

    L = T^2 ( alpha KL(b_T || b_S) + beta KL(q_T || q_S) ), averaged over images

    b = (p_y, 1 - p_y) with p = softmax(z / T). q is the softmax over the other classes. With
    `standardize`, z are the z-scores of the logits.
    """

    params: DKDParams

    def __init__(self, params: DKDParams, context: LossContext) -> None:
        super().__init__(params, context)
        check_same_classes(context)
        if params.standardize:
            check_standardizable(context)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:
        T, views = self.params.temperature, self.context.num_views
        z_s = first_view(student.logits, views)  # (batch, classes)
        z_t = first_view(teacher.logits, views)
        if self.params.standardize:
            z_s, z_t = standardize_logits(z_s), standardize_logits(z_t)
        z_s, z_t = z_s / T, z_t / T
        target = F.one_hot(targets.labels, z_s.shape[1]).to(z_s.dtype)
        log_b_s, log_b_t = (_binary_log_probabilities(z, target) for z in (z_s, z_t))  # (batch, 2)
        log_q_s, log_q_t = (F.log_softmax(z - _MASK_VALUE * target, dim=1) for z in (z_s, z_t))
        tckd = F.kl_div(log_b_s, log_b_t, reduction="batchmean", log_target=True)
        nckd = F.kl_div(log_q_s, log_q_t, reduction="batchmean", log_target=True)
        return (self.params.alpha * tckd + self.params.beta * nckd) * T**2


def _binary_log_probabilities(z: Tensor, target: Tensor) -> Tensor:
    log_p = F.log_softmax(z, dim=1)
    log_p_target = (log_p * target).sum(dim=1, keepdim=True)
    log_p_rest = log_p.masked_fill(target.bool(), float("-inf")).logsumexp(dim=1, keepdim=True)
    return torch.cat([log_p_target, log_p_rest], dim=1)
