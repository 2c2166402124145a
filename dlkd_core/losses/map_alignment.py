"""Knowledge alignment per position: regression of the teacher's feature maps.

It extends the alignment of DLKD (Ding et al., https://doi.org/10.1109/TNNLS.2022.3190166) from the
pooled features to the positions of intermediate feature maps. The regression is that of FitNets
(Romero et al. 2015, https://arxiv.org/abs/1412.6550), on several blocks and with standardized
targets, so that one weight fits all teachers.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlkd_core.catalog.feature_map_loss_params import MapAlignmentParams
from dlkd_core.losses.base_loss import DistillationLoss, LossContext, sum_losses
from dlkd_core.losses.block_pairs import pair_stages
from dlkd_core.network_outputs import Outputs, Targets

# Minimum standard deviation of a channel, as a fraction of that of all channels. A channel that is
# almost always zero would otherwise turn its rare values into targets in the thousands.
_MIN_RELATIVE_STD = 0.1


class MapAlignmentLoss(DistillationLoss):
    """Mean squared error between regressed and standardized feature maps, summed over stages.

    L = sum_l mean ( r_l(F_S) - (F_T - mu) / sigma )^2

    r_l is a 1x1 convolution from the student's width to the teacher's. mu and sigma are the mean
    and the standard deviation of each channel of the teacher's map over a sample of the training
    images. Both maps of a pair are first average-pooled to the smaller of their sizes, and to
    `max_size` pixels at most.
    """

    params: MapAlignmentParams

    def __init__(self, params: MapAlignmentParams, context: LossContext) -> None:
        super().__init__(params, context)
        student_shapes = context.student_shapes.feature_maps
        teacher_shapes = context.require_teacher().feature_maps
        self.pairs = pair_stages(student_shapes, teacher_shapes)
        self.sizes = [
            _common_size(student_shapes[student], teacher_shapes[teacher], params.max_size)
            for student, teacher in self.pairs
        ]
        self.regressors = nn.ModuleList(
            nn.Conv2d(student_shapes[student][0], teacher_shapes[teacher][0], 1)
            for student, teacher in self.pairs
        )
        for index, (mean, std) in enumerate(self._measure_statistics()):
            self.register_buffer(f"mean_{index}", mean)
            self.register_buffer(f"std_{index}", std)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - all terms share one signature
        return sum_losses(
            F.mse_loss(
                regressor(F.adaptive_avg_pool2d(student.feature_maps[self.pairs[index][0]], size)),
                self._standardize(teacher.feature_maps[self.pairs[index][1]], index),
            )
            for index, (regressor, size) in enumerate(zip(self.regressors, self.sizes, strict=True))
        )

    def _standardize(self, teacher_map: Tensor, index: int) -> Tensor:
        pooled = F.adaptive_avg_pool2d(teacher_map, self.sizes[index])
        return (pooled - self.get_buffer(f"mean_{index}")) / self.get_buffer(f"std_{index}")

    def _measure_statistics(self) -> list[tuple[Tensor, Tensor]]:
        """Return the mean and standard deviation of the channels of each pair, (1, C, 1, 1) each.

        They are measured on the pooled maps of the teacher's sample outputs.
        """
        sums = [torch.zeros(3, 1, dtype=torch.float64) for _ in self.pairs]
        for outputs in self.context.sample_teacher():
            for index, (_, teacher) in enumerate(self.pairs):
                pooled = F.adaptive_avg_pool2d(outputs.feature_maps[teacher], self.sizes[index])
                values = pooled.double().transpose(0, 1).flatten(1).cpu()  # (C, positions)
                count = torch.full((len(values),), values.shape[1], dtype=torch.float64)
                sums[index] = sums[index] + torch.stack(
                    [count, values.sum(1), values.square().sum(1)]
                )
        statistics = []
        for count, total, squares in sums:
            mean = total / count
            std = (squares / count - mean.square()).clamp(min=0).sqrt()
            typical_std = float(std.square().mean().sqrt()) or 1.0  # zero if all are constant
            scale = std.clamp(min=_MIN_RELATIVE_STD * typical_std)
            statistics.append(
                (mean.float()[None, :, None, None], scale.float()[None, :, None, None])
            )
        return statistics


def _common_size(
    student: tuple[int, ...], teacher: tuple[int, ...], max_size: int
) -> tuple[int, int]:
    return (
        min(student[1], teacher[1], max_size),
        min(student[2], teacher[2], max_size),
    )
