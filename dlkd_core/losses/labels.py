"""Cross-entropy with the labels."""

import torch.nn.functional as F
from torch import Tensor

from dlkd_core.losses.term import TermModule
from dlkd_core.losses.views import unrotated
from dlkd_core.outputs import Outputs, Targets


class Labels(TermModule):
    """CE(z_S, y), on the first view alone."""

    def forward(self, student: Outputs, teacher: Outputs | None, targets: Targets) -> Tensor:  # noqa: ARG002 - one call for all terms
        """A scalar; the teacher is not looked at."""
        return F.cross_entropy(unrotated(student.logits, self.setting.views), targets.labels)
