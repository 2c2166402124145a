"""Cross-entropy with the labels."""

import torch.nn.functional as F
from torch import Tensor

from dlkd_core.losses.base_loss import DistillationLoss, first_view
from dlkd_core.outputs import Outputs, Targets


class CrossEntropyLoss(DistillationLoss):
    """Cross-entropy CE(z_S, y) on the first view. It needs no teacher."""

    def forward(self, student: Outputs, teacher: Outputs | None, targets: Targets) -> Tensor:  # noqa: ARG002 - all terms share one signature
        return F.cross_entropy(first_view(student.logits, self.context.num_views), targets.labels)
