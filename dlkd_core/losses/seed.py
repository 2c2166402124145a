"""Self-supervised distillation: Fang et al. 2021, https://arxiv.org/abs/2101.04731, eq. 2 to 5.

The implementation matches https://github.com/jacobswan1/SEED, with two differences. The teacher's
features serve as its embedding, whereas the published teachers have a 128-dimensional head from
their self-supervised training. tau_T is 0.01 as in the paper, whereas the published code uses
0.0001, which makes the teacher's softmax nearly one-hot.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dlkd_core.catalog.loss_params import SEEDParams
from dlkd_core.losses.base_loss import DistillationLoss, LossContext, first_view
from dlkd_core.losses.feature_queue import FeatureQueue
from dlkd_core.losses.heads import projection_head
from dlkd_core.network_outputs import Outputs, Targets


class SEEDLoss(DistillationLoss):
    """Cross-entropy between the teacher's and the student's similarities to earlier images.

    L = - mean sum_k p_T(k) log p_S(k), p_S = softmax(<e_S, k> / tau_S),
    p_T = softmax(<e_T, k> / tau_T)

    The mean is over all rows. The embeddings e have unit length. e_S is the output of a linear -
    ReLU - linear head. The keys k are the row's e_T and a queue that holds the teacher's embeddings
    of the first views of earlier images.
    """

    params: SEEDParams

    def __init__(self, params: SEEDParams, context: LossContext) -> None:
        super().__init__(params, context)
        width = context.require_teacher().features
        self.head = projection_head(context.student_shapes.features, width)
        self.queue = FeatureQueue(min(params.queue, context.num_images), width)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - all terms share one signature
        e_s = F.normalize(self.head(student.features), dim=1)
        e_t = F.normalize(teacher.features, dim=1)
        scores_t = self._similarity_scores(e_t, e_t)  # (rows, 1 + queue)
        scores_s = self._similarity_scores(e_s, e_t)
        p = (scores_t / self.params.teacher_temperature).softmax(dim=1)
        log_q = (scores_s / self.params.student_temperature).log_softmax(dim=1)
        self.queue.add(first_view(e_t, self.context.num_views))
        return -(p * log_q).sum(dim=1).mean()

    def _similarity_scores(self, rows: Tensor, own_keys: Tensor) -> Tensor:
        own_scores = (rows * own_keys).sum(dim=1, keepdim=True)
        return torch.cat([own_scores, rows @ self.queue.rows.T], dim=1)
