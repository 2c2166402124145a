"""Factor transfer: Kim, Park and Kwak 2018, https://arxiv.org/abs/1802.04977, eq. 1 to 3.

The loss is applied to the last block only, as in RepDistiller. RepDistiller trains the paraphraser
for 30 epochs before the student. Here both are trained from the first step.
"""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from dlkd_core.catalog.feature_map_loss_params import FTParams
from dlkd_core.losses.base_loss import DistillationLoss, LossContext
from dlkd_core.losses.block_pairs import attention_map, pair_block_shapes, pool_to_same_size
from dlkd_core.network_outputs import Outputs, Targets

_LEAKY_SLOPE = 0.1


class FTLoss(DistillationLoss):
    """Difference between the last blocks' factors, plus the paraphraser's reconstruction error.

    L = mean | Q(translator(F_S)) - Q(encoder(F_T)) | + mean ( decoder(encoder(F_T)) - F_T )^2 / w

    Q(F) = mean_c F_c^2, scaled to unit length. The first summand trains the student and its
    translator. The second trains only the paraphraser (encoder and decoder). The whole loss is
    later multiplied by the term's weight w, so the second summand is divided by w here. This keeps
    the paraphraser's learning rate equal to that of the run.
    """

    params: FTParams

    def __init__(self, params: FTParams, context: LossContext) -> None:
        super().__init__(params, context)
        (student_width, *_), (teacher_width, *_) = pair_block_shapes(context)[-1]
        factor_width = max(1, int(teacher_width * params.rate))
        self.translator = _convolution_stack(
            nn.Conv2d, (student_width, student_width, factor_width, factor_width), batch_norm=True
        )
        self.encoder = _convolution_stack(
            nn.Conv2d, (teacher_width, teacher_width, factor_width, factor_width)
        )
        self.decoder = _convolution_stack(
            nn.ConvTranspose2d, (factor_width, factor_width, teacher_width, teacher_width)
        )

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - all terms share one signature
        student_map, teacher_map = student.feature_maps[-1], teacher.feature_maps[-1]
        factor = self.encoder(teacher_map)
        reconstruction = F.mse_loss(self.decoder(factor), teacher_map)
        difference = self.compute_loss(self.translator(student_map), factor.detach())
        return difference + reconstruction / self.params.weight

    @staticmethod
    def compute_loss(student: Tensor, teacher: Tensor) -> Tensor:
        """Return the loss between two factors (N, C, H, W), whose sizes may differ."""
        student, teacher = pool_to_same_size(student, teacher)
        return (attention_map(student) - attention_map(teacher)).abs().mean()


def _convolution_stack(
    kind: type[nn.Conv2d | nn.ConvTranspose2d], widths: tuple[int, ...], *, batch_norm: bool = False
) -> nn.Sequential:
    """Return 3x3 convolutions with the given widths, each followed by a leaky ReLU."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [
            kind(inputs, outputs, 3, padding=1),
            nn.BatchNorm2d(outputs) if batch_norm else nn.Identity(),
            nn.LeakyReLU(_LEAKY_SLOPE),
        ]
    return nn.Sequential(*layers)
