"""Cross-entropy between the student's logits and the labels."""

import torch.nn.functional as F
from torch import Tensor

from dlkd_core.losses.base_loss import DistillationLoss, first_view
from dlkd_core.network_outputs import Outputs, Targets


class CrossEntropyLoss(DistillationLoss):
    """Cross-entropy CE(z_S, y) on the first view. This term needs no teacher."""

    def forward(self, student: Outputs, teacher: Outputs | None, targets: Targets) -> Tensor:  # noqa: ARG002 - all terms share one signature
        return F.cross_entropy(first_view(student.logits, self.context.num_views), targets.labels)
