"""Relational knowledge distillation: Park et al. 2019, https://arxiv.org/abs/1904.05068, eq. 4 to 9; as in RepDistiller."""

import torch
import torch.nn.functional as F
from torch import Tensor

from dlkd_core.catalog.terms import Geometry as GeometryParams
from dlkd_core.losses.term import TermModule
from dlkd_core.outputs import Outputs, Targets

_EPSILON = 1e-12


class Geometry(TermModule):
    """distance * huber(d_S, d_T) + angle * huber(a_S, a_T) of the features of all rows.

    d_ij = |f_i - f_j| over its mean where it is not zero; a_ijk the cosine at f_i between f_j - f_i and f_k - f_i.
    """

    params: GeometryParams

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - one call for all terms
        """A scalar."""
        ours, theirs = student.features.flatten(1), teacher.features.flatten(1)
        distance = F.smooth_l1_loss(_distances(ours), _distances(theirs))
        angle = F.smooth_l1_loss(_angles(ours), _angles(theirs))
        return self.params.distance * distance + self.params.angle * angle


def _distances(rows: Tensor) -> Tensor:
    """(N, width) to (N, N), over their mean."""
    squares = rows.square().sum(dim=1)
    off_diagonal = ~torch.eye(len(rows), dtype=torch.bool, device=rows.device)
    found = (squares[:, None] + squares[None] - 2 * rows @ rows.T).clamp(min=_EPSILON).sqrt() * off_diagonal
    return found / found[found > 0].mean()


def _angles(rows: Tensor) -> Tensor:
    """(N, width) to (N, N, N)."""
    edges = F.normalize(rows[None] - rows[:, None], dim=2)
    return edges @ edges.transpose(1, 2)
