"""Knowledge alignment: Ding et al., IEEE TNNLS 2024, https://doi.org/10.1109/TNNLS.2022.3190166.

The formula, the head and the head's width follow the authors' code, https://github.com/ifding/DLKD
(AlignLoss).

With an orthogonal projector, the term is VkD: Miles, Elezi and Deng, CVPR 2024,
https://arxiv.org/abs/2403.06213, as in https://github.com/roymiles/vkd. The published code projects
the pooled tokens of a transformer and compares them with the pooled map of a convolutional network.
Here the features of both networks are used.
"""

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from dlkd_core.catalog.loss_params import AlignmentParams
from dlkd_core.losses.base_loss import DistillationLoss, LossContext
from dlkd_core.losses.heads import mlp_head
from dlkd_core.network_outputs import Outputs, Targets


class AlignmentLoss(DistillationLoss):
    """Distance between the student's projected features and the teacher's, over all rows.

    With the projector `mlp`, the features are normalized and the loss is in [0, 4]:

    L = mean || z - u ||^2 = mean( 2 - 2 <z, u> ), z = g(f_S) / |g(f_S)|, u = f_T / |f_T|

    With the projector `orthogonal`, h is the Huber loss with threshold 1, averaged over rows and
    dimensions, and the teacher's features are standardized per row (layer norm without weights):

    L = mean h( g(f_S) - layer_norm(f_T) )

    g is the trainable head: a network with one hidden layer, or a linear layer whose rows or
    columns stay orthonormal.
    """

    params: AlignmentParams

    def __init__(self, params: AlignmentParams, context: LossContext) -> None:
        super().__init__(params, context)
        width = context.require_teacher().features
        student_width = context.student_shapes.features
        self.head: nn.Module = (
            parametrizations.orthogonal(nn.Linear(student_width, width, bias=False))
            if params.projector == "orthogonal"
            else mlp_head(student_width, params.hidden_factor * width, width)
        )

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - all terms share one signature
        projected = self.head(student.features)  # (rows, teacher width)
        if self.params.projector == "orthogonal":
            standardized = F.layer_norm(teacher.features, teacher.features.shape[1:])
            return F.smooth_l1_loss(projected, standardized)
        z = F.normalize(projected, dim=-1)
        u = F.normalize(teacher.features, dim=-1)
        return (2 - 2 * (z * u).sum(dim=-1)).mean()
