"""Probabilistic knowledge transfer: Passalis and Tefas 2018, https://arxiv.org/abs/1803.10837.

Eq. 4 to 7, as in RepDistiller.
"""

from torch import Tensor

from dlkd_core.catalog.loss_params import PKTParams
from dlkd_core.losses.base_loss import DistillationLoss
from dlkd_core.network_outputs import Outputs, Targets

_EPSILON = 1e-7


class PKTLoss(DistillationLoss):
    """Divergence between the networks' conditional probabilities, over all pairs of rows.

    L = mean_ij P_T log( P_T / P_S ), P = (cos(f_i, f_j) + 1) / 2, with each row divided by its sum
    """

    params: PKTParams

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - all terms share one signature
        p_s = _conditional_probabilities(student.features)
        p_t = _conditional_probabilities(teacher.features)
        loss: Tensor = (p_t * ((p_t + _EPSILON) / (p_s + _EPSILON)).log()).mean()
        return loss


def _conditional_probabilities(rows: Tensor) -> Tensor:
    """Return the probabilities (N, N) for rows (N, width).

    The diagonal is included, as published.
    """
    unit = rows / (rows.norm(dim=1, keepdim=True) + _EPSILON)
    kernel: Tensor = (unit @ unit.T + 1) / 2
    return kernel / kernel.sum(dim=1, keepdim=True)
