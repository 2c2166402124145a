"""Variational information distillation: Ahn et al. 2019, https://arxiv.org/abs/1904.05835.

Eq. 5 and 6, as in RepDistiller.
"""

from math import exp, log

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlkd_core.catalog.feature_map_loss_params import VIDParams
from dlkd_core.losses.base_loss import DistillationLoss, LossContext, sum_losses
from dlkd_core.losses.block_pairs import pair_block_shapes, pooled_block_pairs
from dlkd_core.network_outputs import Outputs, Targets

_EPSILON = 1e-5
_INITIAL_VARIANCE = 5.0


class VIDLoss(DistillationLoss):
    """Gaussian negative log-likelihood of the teacher's block outputs, summed over paired blocks.

    L = sum_l mean ( (mu(F_S) - F_T)^2 / var + log var ) / 2, var_c = softplus(a_c) + 1e-5

    mu and a are learned. The loss can be negative.
    """

    def __init__(self, params: VIDParams, context: LossContext) -> None:
        super().__init__(params, context)
        self.guesses = nn.ModuleList(
            _GaussianHead(student_shape[0], teacher_shape[0])
            for student_shape, teacher_shape in pair_block_shapes(context)
        )

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - all terms share one signature
        pairs = pooled_block_pairs(student, teacher)
        return sum_losses(head(*pair) for head, pair in zip(self.guesses, pairs, strict=True))


class _GaussianHead(nn.Module):
    """A Gaussian over the teacher's block output. The student's block predicts the mean."""

    def __init__(self, student_width: int, teacher_width: int) -> None:
        super().__init__()
        layers = [
            nn.Conv2d(inputs, teacher_width, 1, bias=False)
            for inputs in (student_width, teacher_width, teacher_width)
        ]
        self.regressor = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
        self.log_scale = nn.Parameter(
            torch.full((teacher_width,), log(exp(_INITIAL_VARIANCE - _EPSILON) - 1))
        )

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        variance = (F.softplus(self.log_scale) + _EPSILON).view(1, -1, 1, 1)
        squared_error = (self.regressor(student) - teacher).square()
        loss: Tensor = ((squared_error / variance + variance.log()) / 2).mean()
        return loss
