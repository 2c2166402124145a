"""Activation boundaries: Heo et al. 2019, https://arxiv.org/abs/1811.03233, eq. 5 to 7.

The weights of the blocks are those of RepDistiller. Differences:

- RepDistiller trains with this loss alone for 30 epochs and then with the labels alone. Here both
  are part of one loss with constant weights.
- RepDistiller takes blocks before their last ReLU. Here they are taken as the networks return them,
  which is the same for the teacher, where active means above zero. Student activations that a ReLU
  has cut to zero could never be raised again, so every pair has a convolution with batch norm in
  between, whereas RepDistiller has none between blocks of one shape.
- If no published convolution maps one size to the other, the larger map is pooled. A neuron then
  counts as active if any neuron in its window is.
"""

import torch
from torch import Tensor, nn

from dlkd_core.catalog.loss_params import ABParams
from dlkd_core.losses.base_loss import DistillationLoss, LossContext
from dlkd_core.losses.block_pairs import (
    make_regressor_convolution,
    pair_block_shapes,
    pair_blocks,
    pool_to_same_size,
)
from dlkd_core.outputs import Outputs, Targets

_LOSS_SCALE = 3 / 1000  # RepDistiller's factor for a sum over all neurons


class ABLoss(DistillationLoss):
    """Activation boundary loss, summed over paired blocks.

    L = sum_l w_l * 0.003 / N * sum( (s + m)^2 [t <= 0, s > -m] + (s - m)^2 [t > 0, s <= m] )

    s = r(F_S), t = F_T, m is the margin. w_l is 1 for the last block and halves with each block
    before it. r is a convolution to the teacher's width and size, followed by batch norm.
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
        """Return the loss of two maps (N, C, H, W), summed over neurons, mean over images."""
        student, teacher = pool_to_same_size(student, teacher)
        margin = self.params.margin
        raise_cost = (margin - student).clamp_min(0).square()  # for neurons that should be active
        lower_cost = (margin + student).clamp_min(0).square()
        return torch.where(teacher > 0, raise_cost, lower_cost).sum() / len(student) * _LOSS_SCALE
