"""Activation boundaries: Heo et al. 2019, https://arxiv.org/abs/1811.03233, eq. 5 to 7.

The blocks are weighted as in RepDistiller. Differences from RepDistiller:

- RepDistiller trains with this loss alone for 30 epochs and then with the labels alone. Here both
  are part of one loss with constant weights.
- RepDistiller takes each block's output before its last ReLU. Here the output is taken after that
  ReLU, as the network returns it. For the teacher, this makes no difference, because a neuron
  counts as active if its value is above zero. For the student, it would matter, because no
  gradient reaches an activation that a ReLU has set to zero. Each student block is therefore
  followed by a convolution with batch norm. RepDistiller adds this convolution only if the shapes
  of the two blocks differ.
- If none of RepDistiller's convolutions maps the student's size to the teacher's, the larger
  feature map is pooled. A pooled neuron counts as active if any neuron in its window is active.
"""

import torch
from torch import Tensor, nn

from dlkd_core.catalog.feature_map_loss_params import ABParams
from dlkd_core.losses.base_loss import DistillationLoss, LossContext
from dlkd_core.losses.block_pairs import (
    make_regressor_convolution,
    pair_block_shapes,
    pair_blocks,
    pool_to_same_size,
)
from dlkd_core.network_outputs import Outputs, Targets

_LOSS_SCALE = 3 / 1000  # RepDistiller's factor for the sum over all neurons


class ABLoss(DistillationLoss):
    """Activation boundary loss, summed over paired blocks.

    L = sum_l w_l * 0.003 / N * sum( (s + m)^2 [t <= 0, s > -m] + (s - m)^2 [t > 0, s <= m] )

    s = r(F_S) and t = F_T. N is the number of images and m the margin. w_l is 1 for the last block
    and is halved for each block before it. r is a convolution that maps F_S to the teacher's width
    and size, followed by batch norm.
    """

    params: ABParams

    def __init__(self, params: ABParams, context: LossContext) -> None:
        super().__init__(params, context)
        self.connectors = nn.ModuleList(
            nn.Sequential(
                make_regressor_convolution(student_shape, teacher_shape),
                nn.BatchNorm2d(teacher_shape[0]),
            )
            for student_shape, teacher_shape in pair_block_shapes(context)
        )

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - all terms share one signature
        pairs = pair_blocks(student.feature_maps, teacher.feature_maps)
        losses = [
            self.compute_loss(connector(student_map), teacher_map)
            for connector, (student_map, teacher_map) in zip(self.connectors, pairs, strict=True)
        ]
        weights = [0.5**depth for depth in reversed(range(len(losses)))]
        return (torch.stack(losses) * losses[0].new_tensor(weights)).sum()

    def compute_loss(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the loss between two feature maps (N, C, H, W).

        The loss is summed over neurons and averaged over images.
        """
        student, teacher = pool_to_same_size(student, teacher)
        margin = self.params.margin
        raise_cost = (margin - student).clamp_min(0).square()  # for neurons that should be active
        lower_cost = (margin + student).clamp_min(0).square()
        return torch.where(teacher > 0, raise_cost, lower_cost).sum() / len(student) * _LOSS_SCALE
