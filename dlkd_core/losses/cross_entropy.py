"""Cross-entropy between the student's logits and the labels."""

import torch.nn.functional as F
from torch import Tensor

from dlkd_core.catalog.loss_params import CrossEntropyParams
from dlkd_core.losses.base_loss import DistillationLoss, first_view
from dlkd_core.network_outputs import Outputs, Targets


class CrossEntropyLoss(DistillationLoss):
    """Cross-entropy CE(z_S, y) on the first view, or its sum over all views.

    This term needs no teacher.
    """

    params: CrossEntropyParams

    def forward(self, student: Outputs, teacher: Outputs | None, targets: Targets) -> Tensor:  # noqa: ARG002 - all terms share one signature
        views = self.context.num_views
        if self.params.all_views:
            return views * F.cross_entropy(student.logits, targets.labels.repeat_interleave(views))
        return F.cross_entropy(first_view(student.logits, views), targets.labels)
