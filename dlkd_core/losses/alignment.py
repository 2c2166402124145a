"""Knowledge alignment: Ding et al., IEEE TNNLS 2024, https://doi.org/10.1109/TNNLS.2022.3190166.

The formula, the head and the head's width follow the authors' code, https://github.com/ifding/DLKD
(AlignLoss).
"""

import torch.nn.functional as F
from torch import Tensor

from dlkd_core.catalog.loss_params import AlignmentParams
from dlkd_core.losses.base_loss import DistillationLoss, LossContext
from dlkd_core.losses.heads import mlp_head
from dlkd_core.network_outputs import Outputs, Targets


class AlignmentLoss(DistillationLoss):
    """Squared distance between the normalized features, averaged over all rows.

    L = mean || z - u ||^2 = mean( 2 - 2 <z, u> ), z = g(f_S) / |g(f_S)|, u = f_T / |f_T|

    g is the trainable head. The loss is in [0, 4].
    """

    params: AlignmentParams

    def __init__(self, params: AlignmentParams, context: LossContext) -> None:
        super().__init__(params, context)
        width = context.require_teacher().features
        self.head = mlp_head(context.student_shapes.features, params.hidden_factor * width, width)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - all terms share one signature
        z = F.normalize(self.head(student.features), dim=-1)  # (rows, teacher width)
        u = F.normalize(teacher.features, dim=-1)
        return (2 - 2 * (z * u).sum(dim=-1)).mean()
