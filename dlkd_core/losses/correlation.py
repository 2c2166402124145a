"""Knowledge correlation: Ding et al., IEEE TNNLS 2024, https://doi.org/10.1109/TNNLS.2022.3190166.

The formula, head and temperature follow the authors' code, https://github.com/ifding/DLKD
(CorrLoss). That code always uses four rotations. Support for a single view was added here.
"""

import torch.nn.functional as F
from torch import Tensor

from dlkd_core.catalog.loss_params import CorrelationParams
from dlkd_core.losses.base_loss import (
    DistillationLoss,
    LossContext,
    softened_kl_divergence,
    view_cosines,
)
from dlkd_core.losses.heads import mlp_head
from dlkd_core.network_outputs import Outputs, Targets


class CorrelationLoss(DistillationLoss):
    """KL divergence between the teacher's and the student's view similarities.

    L = mean KL( softmax(S_T / t) || softmax(S_S / t) ), S are cosines between queries and keys

    The mean is over the queries. These are the rotated views (with moco, the strong crops), and the
    keys are the unrotated views (the plain crops). The softmax is over the keys, including the
    query's own image. With a single view per image, queries and keys are the same rows. Each row's
    similarity to itself is then excluded, because it is 1 in both networks. Student and teacher
    features may differ in width.
    """

    params: CorrelationParams

    def __init__(self, params: CorrelationParams, context: LossContext) -> None:
        super().__init__(params, context)
        context.require_teacher()
        width = context.student_shapes.features
        self.head = mlp_head(width, width, width)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - all terms share one signature
        cosines_s = self._cosines(self.head(student.features))  # (queries, keys)
        cosines_t = self._cosines(teacher.features)
        return softened_kl_divergence(cosines_s, cosines_t, self.params.temperature)

    def _cosines(self, rows: Tensor) -> Tensor:
        if self.context.num_views > 1:
            return view_cosines(rows, self.context.num_views)
        units = F.normalize(rows, dim=-1)
        return _drop_diagonal(units @ units.T)


def _drop_diagonal(square: Tensor) -> Tensor:
    """Remove the diagonal entry from each row of a matrix. Maps (n, n) to (n, n - 1)."""
    n = square.shape[0]
    return square.flatten()[1:].view(n - 1, n + 1)[:, :-1].reshape(n, n - 1)
