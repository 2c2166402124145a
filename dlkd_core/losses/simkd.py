"""Distillation with the teacher's classifier: Chen et al. 2022, https://arxiv.org/abs/2203.14001.

The implementation matches https://github.com/DefangChen/SimKD (SimKD).
"""

import torch.nn.functional as F
from torch import Tensor, nn

from dlkd_core.catalog.feature_map_loss_params import SimKDParams
from dlkd_core.losses.base_loss import DistillationLoss, LossContext
from dlkd_core.losses.block_pairs import pair_block_shapes, pool_to_same_size
from dlkd_core.network_outputs import Outputs, Targets


class SimKDLoss(DistillationLoss):
    """Squared error between the projected last feature map and the teacher's, over all views.

    L = mean ( r(F_S) - F_T )^2

    The larger map is pooled to the size of the smaller one. The projector r consists of a 1x1, a
    3x3 and a 1x1 convolution, each followed by batch norm and ReLU. The published method classifies
    the pooled mean of r(F_S) with the teacher's classifier, so such a student consists of the
    network, `projector` and the teacher's classifier. The student's own classifier is not trained.
    """

    params: SimKDParams

    def __init__(self, params: SimKDParams, context: LossContext) -> None:
        super().__init__(params, context)
        (student_width, *_), (teacher_width, *_) = pair_block_shapes(context)[-1]
        hidden = max(teacher_width // params.factor, 1)
        self.projector = nn.Sequential(
            nn.Conv2d(student_width, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, hidden, 3, padding=1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, teacher_width, 1, bias=False),
            nn.BatchNorm2d(teacher_width),
            nn.ReLU(),
        )

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - all terms share one signature
        maps = pool_to_same_size(student.feature_maps[-1], teacher.feature_maps[-1])
        return F.mse_loss(self.projector(maps[0]), maps[1])
