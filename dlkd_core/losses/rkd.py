"""Relational knowledge distillation: Park et al. 2019, https://arxiv.org/abs/1904.05068, eq. 4-9.

The implementation matches RepDistiller.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dlkd_core.catalog.loss_params import RKDParams
from dlkd_core.losses.base_loss import DistillationLoss
from dlkd_core.network_outputs import Outputs, Targets

_EPSILON = 1e-12


class RKDLoss(DistillationLoss):
    """Huber loss between the two networks' feature distances and feature angles, over all rows.

    L = distance * huber(d_S, d_T) + angle * huber(a_S, a_T)

    d_ij is |f_i - f_j|, divided by the mean of all nonzero distances. a_ijk is the cosine of the
    angle at f_i between f_j - f_i and f_k - f_i.
    """

    params: RKDParams

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - all terms share one signature
        f_s, f_t = student.features.flatten(1), teacher.features.flatten(1)
        distance = F.smooth_l1_loss(_pairwise_distances(f_s), _pairwise_distances(f_t))
        angle = F.smooth_l1_loss(_triplet_angles(f_s), _triplet_angles(f_t))
        return self.params.distance * distance + self.params.angle * angle


def _pairwise_distances(rows: Tensor) -> Tensor:
    """Return the pairwise distances (N, N) of rows (N, width), divided by their mean."""
    squares = rows.square().sum(dim=1)
    off_diagonal = ~torch.eye(len(rows), dtype=torch.bool, device=rows.device)
    squared = (squares[:, None] + squares[None] - 2 * rows @ rows.T).clamp(min=_EPSILON)
    distances = squared.sqrt() * off_diagonal
    return distances / distances[distances > 0].mean()


def _triplet_angles(rows: Tensor) -> Tensor:
    """Return the cosines (N, N, N) of the angles in all triplets of rows (N, width)."""
    edges = F.normalize(rows[None] - rows[:, None], dim=2)
    return edges @ edges.transpose(1, 2)
