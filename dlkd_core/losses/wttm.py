"""Weighted transformed teacher matching: Zheng and Yang 2024, https://arxiv.org/abs/2402.11148.

The implementation matches https://github.com/zkxufo/TTM (WTTM). It computes the power of the
teacher's probabilities from their logarithms, so that very small probabilities do not become zero.
"""

import torch.nn.functional as F
from torch import Tensor

from dlkd_core.catalog.loss_params import WTTMParams
from dlkd_core.losses.base_loss import (
    DistillationLoss,
    LossContext,
    check_same_classes,
    first_view,
)
from dlkd_core.network_outputs import Outputs, Targets


class WTTMLoss(DistillationLoss):
    """Weighted KL divergence from the teacher's transformed probabilities, on the first view.

    L = mean u KL( p_T^e / u || p_S ), u = sum_c p_T,c^e

    p = softmax(z). The exponent e is the inverse of a temperature that only the teacher has. The
    weight u of an image is large if the teacher's probabilities are spread over many classes.
    """

    params: WTTMParams

    def __init__(self, params: WTTMParams, context: LossContext) -> None:
        super().__init__(params, context)
        check_same_classes(context)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - all terms share one signature
        views = self.context.num_views
        log_p_s = F.log_softmax(first_view(student.logits, views), dim=1)  # (batch, classes)
        log_p_t = F.log_softmax(first_view(teacher.logits, views), dim=1)
        log_power = self.params.exponent * log_p_t
        weights = log_power.exp().sum(dim=1)  # (batch,)
        log_target = F.log_softmax(log_power, dim=1)
        divergences = (log_target.exp() * (log_target - log_p_s)).sum(dim=1)
        return (weights * divergences).mean()
