"""Cross-entropy between the student's logits and the labels."""

import torch
import torch.nn.functional as F
from torch import Tensor

from dlkd_core.catalog.loss_params import CrossEntropyParams
from dlkd_core.losses.base_loss import DistillationLoss, first_view
from dlkd_core.network_outputs import Outputs, Targets


class CrossEntropyLoss(DistillationLoss):
    """Cross-entropy CE(z_S, y) on the first view, or its sum over all views.

    For an image that is mixed with another one in the proportion s : 1 - s, the loss is
    s * CE(z_S, y) + (1 - s) * CE(z_S, y_other). This term needs no teacher.
    """

    params: CrossEntropyParams

    def forward(self, student: Outputs, teacher: Outputs | None, targets: Targets) -> Tensor:  # noqa: ARG002 - all terms share one signature
        views = self.context.num_views
        if not self.params.all_views:
            return self._cross_entropy(first_view(student.logits, views), targets, views=1)
        return views * self._cross_entropy(student.logits, targets, views)

    def _cross_entropy(self, logits: Tensor, targets: Targets, views: int) -> Tensor:
        """Return the mean over all rows of `logits` (batch * views, classes)."""
        labels = targets.labels.repeat_interleave(views)
        smoothing = self.context.label_smoothing
        if targets.other_labels is None or targets.shares is None:
            return F.cross_entropy(logits, labels, label_smoothing=smoothing)
        own, other = (
            F.cross_entropy(logits, rows, reduction="none", label_smoothing=smoothing)
            for rows in (labels, targets.other_labels.repeat_interleave(views))
        )
        return torch.lerp(other, own, targets.shares.repeat_interleave(views)).mean()
