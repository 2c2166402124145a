"""DIST, distillation from a stronger teacher: Huang et al. 2022, https://arxiv.org/abs/2205.10536.

Eq. 10, as in https://github.com/hunto/image_classification_sota (DIST).
"""

import torch.nn.functional as F
from torch import Tensor

from dlkd_core.catalog.loss_params import DISTParams
from dlkd_core.losses.base_loss import (
    DistillationLoss,
    LossContext,
    check_same_classes,
    first_view,
)
from dlkd_core.network_outputs import Outputs, Targets

_EPSILON = 1e-8


class DISTLoss(DistillationLoss):
    """Pearson distance between the predictions, per image and per class, on the first view.

    L = tau^2 ( beta (1 - mean_i rho(Y_S[i, :], Y_T[i, :]))
                + gamma (1 - mean_c rho(Y_S[:, c], Y_T[:, c])) ), Y = softmax(z / tau)

    rho is Pearson's correlation.
    """

    params: DISTParams

    def __init__(self, params: DISTParams, context: LossContext) -> None:
        super().__init__(params, context)
        check_same_classes(context)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - all terms share one signature
        tau, views = self.params.temperature, self.context.num_views
        y_s = F.softmax(first_view(student.logits, views) / tau, dim=1)  # (batch, classes)
        y_t = F.softmax(first_view(teacher.logits, views) / tau, dim=1)
        inter = 1 - _pearson_correlation(y_s, y_t).mean()
        intra = 1 - _pearson_correlation(y_s.T, y_t.T).mean()
        return (self.params.beta * inter + self.params.gamma * intra) * tau**2


def _pearson_correlation(a: Tensor, b: Tensor) -> Tensor:
    """Return the correlation of each row of `a` with the same row of `b`.

    `_EPSILON` is the published constant. It only matters if a row has almost no variance.
    """
    a, b = (rows - rows.mean(dim=1, keepdim=True) for rows in (a, b))
    lengths: Tensor = a.norm(dim=1) * b.norm(dim=1)
    return (a * b).sum(dim=1) / (lengths + _EPSILON)
