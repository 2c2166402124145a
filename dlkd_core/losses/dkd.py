"""Decoupled knowledge distillation: Zhao et al. 2022, https://arxiv.org/abs/2203.08679, eq. 7.

As in https://github.com/megvii-research/mdistiller (DKD).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dlkd_core.catalog.terms import Decoupled as DecoupledParams
from dlkd_core.losses.kd import same_classes
from dlkd_core.losses.term import Setting, TermModule
from dlkd_core.losses.views import unrotated
from dlkd_core.outputs import Outputs, Targets

_OUT = 1000.0  # taken from a logit, it leaves the softmax


class Decoupled(TermModule):
    """T^2 ( alpha KL(b_T || b_S) + beta KL(q_T || q_S) ), mean over images, on the first view alone.

    b = (p_y, 1 - p_y) of p = softmax(z / T); q is the softmax over the other classes.
    """

    params: DecoupledParams

    def __init__(self, params: DecoupledParams, setting: Setting) -> None:
        super().__init__(params, setting)
        same_classes(setting)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:
        """A scalar."""
        T = self.params.temperature
        z_s, z_t = (unrotated(one.logits, self.setting.views) / T for one in (student, teacher))  # (batch, classes)
        target = F.one_hot(targets.labels, z_s.shape[1]).to(z_s.dtype)
        b_s, b_t = (_binary(z, target) for z in (z_s, z_t))  # (batch, 2), logarithms
        q_s, q_t = (F.log_softmax(z - _OUT * target, dim=1) for z in (z_s, z_t))
        tckd = F.kl_div(b_s, b_t, reduction="batchmean", log_target=True)
        nckd = F.kl_div(q_s, q_t, reduction="batchmean", log_target=True)
        return (self.params.alpha * tckd + self.params.beta * nckd) * T**2


def _binary(z: Tensor, target: Tensor) -> Tensor:
    log_p = F.log_softmax(z, dim=1)
    log_p_target = (log_p * target).sum(dim=1, keepdim=True)
    log_p_rest = log_p.masked_fill(target.bool(), float("-inf")).logsumexp(dim=1, keepdim=True)
    return torch.cat([log_p_target, log_p_rest], dim=1)
