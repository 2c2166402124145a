"""Compressed representations: Koohpayegani et al. 2020, https://arxiv.org/abs/2010.14713, eq. 1-3.

The implementation matches https://github.com/UMBCvision/CompRess without momentum: the student
itself fills its queue. The main script of that project instead fills the queue with the outputs of
a moving average of the student (momentum 0.999). This is not possible here, because a loss term
sees only the networks' outputs.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from dlkd_core.catalog.loss_params import CompRessParams
from dlkd_core.losses.base_loss import (
    DistillationLoss,
    LossContext,
    first_view,
    softened_kl_divergence,
)
from dlkd_core.losses.feature_queue import FeatureQueue
from dlkd_core.network_outputs import Outputs, Targets


class CompRessLoss(DistillationLoss):
    """KL divergence between the teacher's and the student's similarities to earlier images.

    L = mean KL( softmax(<f_T, k_T> / T) || softmax(<f_S, k_S> / T) ), with f and k of unit length

    The mean is over all rows. The keys k are features of earlier images, kept in a queue. With two
    queues, each network is compared with its own queue, and the student has no head. With one
    queue, both networks are compared with the teacher's features, and a linear head maps the
    student's features to the teacher's width.
    """

    params: CompRessParams

    def __init__(self, params: CompRessParams, context: LossContext) -> None:
        super().__init__(params, context)
        student_width = context.student_shapes.features
        teacher_width = context.require_teacher().features
        size = min(params.queue, context.num_images)
        self.queue = FeatureQueue(size, teacher_width)
        self.own = FeatureQueue(size, student_width) if params.queues == 2 else None
        self.head = nn.Linear(student_width, teacher_width) if params.queues == 1 else nn.Identity()

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - all terms share one signature
        f_s = F.normalize(self.head(student.features), dim=1)
        f_t = F.normalize(teacher.features, dim=1)
        cosines_s = f_s @ (self.own or self.queue).rows.T  # (rows, queue)
        cosines_t = f_t @ self.queue.rows.T
        self.queue.add(first_view(f_t, self.context.num_views))
        if self.own is not None:
            self.own.add(first_view(f_s, self.context.num_views))
        return softened_kl_divergence(cosines_s, cosines_t, self.params.temperature)
