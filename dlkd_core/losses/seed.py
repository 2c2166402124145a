"""Self-supervised distillation: Fang et al. 2021, https://arxiv.org/abs/2101.04731, eq. 2 to 5.

Matches https://github.com/jacobswan1/SEED, except that the teacher's embedding is its features. The
published teachers have a head of 128 dimensions from their own self-supervised training. tau_T is
the paper's 0.01, whereas the published code uses 0.0001, which is nearly one-hot.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dlkd_core.catalog.loss_params import SEEDParams
from dlkd_core.losses.base_loss import DistillationLoss, LossContext, first_view
from dlkd_core.losses.feature_queue import FeatureQueue
from dlkd_core.losses.heads import projection_head
from dlkd_core.outputs import Outputs, Targets


class SEEDLoss(DistillationLoss):
    """Cross-entropy of similarities to a queue of earlier images, averaged over all rows.

    L = - mean sum_k p_T(k) log p_S(k), p_S = softmax(<e_S, k> / tau_S),
    p_T = softmax(<e_T, k> / tau_T)

    e have unit length. e_S are the outputs of a linear - ReLU - linear head. The keys k are the
    row's own e_T and the queue of the teacher's embeddings of earlier images (first views).
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
