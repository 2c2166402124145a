"""Self-supervised distillation: Fang et al. 2021, https://arxiv.org/abs/2101.04731, eq. 2 to 5; as in https://github.com/jacobswan1/SEED.

Different: the teacher's embedding is its features, where the published teachers have a head of 128 dimensions from their own
self-supervised training. tau_T is the paper's 0.01; the published code has 0.0001, which is all but one-hot.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dlkd_core.catalog.terms import Instances as InstancesParams
from dlkd_core.losses.heads import projection
from dlkd_core.losses.queues import Queue
from dlkd_core.losses.term import Setting, TermModule
from dlkd_core.losses.views import unrotated
from dlkd_core.outputs import Outputs, Targets


class Instances(TermModule):
    """- sum_k p_T(k) log p_S(k), mean over all rows, p_S = softmax(<e_S, k> / tau_S), p_T = softmax(<e_T, k> / tau_T).

    e are of unit length, the student's behind a head linear - ReLU - linear; the keys k are the row's own e_T and the queue of
    the teacher's embeddings of earlier images (first views).
    """

    params: InstancesParams

    def __init__(self, params: InstancesParams, setting: Setting) -> None:
        super().__init__(params, setting)
        width = setting.taught().features
        self.head = projection(setting.student.features, width)
        self.queue = Queue(min(params.queue, setting.images), width)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - one call for all terms
        """A scalar."""
        ours, theirs = F.normalize(self.head(student.features), dim=1), F.normalize(teacher.features, dim=1)
        p = (self._scores(theirs, theirs) / self.params.teacher_temperature).softmax(dim=1)  # (rows, 1 + queue)
        log_q = (self._scores(ours, theirs) / self.params.student_temperature).log_softmax(dim=1)
        self.queue.add(unrotated(theirs, self.setting.views))
        return -(p * log_q).sum(dim=1).mean()

    def _scores(self, rows: Tensor, own: Tensor) -> Tensor:
        return torch.cat([(rows * own).sum(dim=1, keepdim=True), rows @ self.queue.rows.T], dim=1)
