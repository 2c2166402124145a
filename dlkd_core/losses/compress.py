"""Compressed representations: Koohpayegani et al. 2020, https://arxiv.org/abs/2010.14713, eq. 1 to 3.

As in https://github.com/UMBCvision/CompRess without momentum: the student itself fills its queue. Its main script has a
second student for that, a moving average of the first (0.999); a term sees outputs, no networks.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from dlkd_core.catalog.terms import Compression as CompressionParams
from dlkd_core.losses.queues import Queue
from dlkd_core.losses.term import Setting, TermModule
from dlkd_core.losses.views import unrotated
from dlkd_core.outputs import Outputs, Targets


class Compression(TermModule):
    """mean over all rows of KL( softmax(<f_T, k_T> / T) || softmax(<f_S, k_S> / T) ), f and k at unit length.

    The keys k are a queue of features of earlier images. With two queues each network meets its own, and nothing
    stands between f_S and the student; with one both meet the teacher's, the student through a linear head to its width.
    """

    params: CompressionParams

    def __init__(self, params: CompressionParams, setting: Setting) -> None:
        super().__init__(params, setting)
        ours, theirs = setting.student.features, setting.taught().features
        count = min(params.queue, setting.images)
        self.queue = Queue(count, theirs)
        self.own = Queue(count, ours) if params.queues == 2 else None
        self.head = nn.Linear(ours, theirs) if params.queues == 1 else nn.Identity()

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - one call for all terms
        """A scalar."""
        ours, theirs = F.normalize(self.head(student.features), dim=1), F.normalize(teacher.features, dim=1)
        log_q = self._relations(ours, self.own or self.queue)  # (rows, queue)
        log_p = self._relations(theirs, self.queue)
        self.queue.add(unrotated(theirs, self.setting.views))
        if self.own is not None:
            self.own.add(unrotated(ours, self.setting.views))
        return F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)

    def _relations(self, rows: Tensor, queue: Queue) -> Tensor:
        return F.log_softmax(rows @ queue.rows.T / self.params.temperature, dim=1)
