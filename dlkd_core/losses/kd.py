"""Softened logits: Hinton, Vinyals, Dean 2015, https://arxiv.org/abs/1503.02531, section 2."""

import torch.nn.functional as F
from torch import Tensor

from dlkd_core.catalog.terms import Hinton as HintonParams
from dlkd_core.errors import ClassesDoNotFit
from dlkd_core.losses.term import Setting, TermModule
from dlkd_core.losses.views import unrotated
from dlkd_core.outputs import Outputs, Targets


class Hinton(TermModule):
    """T^2 * KL( softmax(z_T / T) || softmax(z_S / T) ), mean over images, on the first view alone."""

    params: HintonParams

    def __init__(self, params: HintonParams, setting: Setting) -> None:
        super().__init__(params, setting)
        same_classes(setting)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - one call for all terms
        """A scalar."""
        T, views = self.params.temperature, self.setting.views
        log_p = F.log_softmax(unrotated(teacher.logits, views) / T, dim=1)  # (batch, classes)
        log_q = F.log_softmax(unrotated(student.logits, views) / T, dim=1)
        return F.kl_div(log_q, log_p, reduction="batchmean", log_target=True) * T**2


def same_classes(setting: Setting) -> None:
    """Raises `ClassesDoNotFit` where the two networks give logits of different classes."""
    ours, theirs = setting.student.classes, setting.taught().classes
    if ours != theirs:
        raise ClassesDoNotFit(f"The teacher gives {theirs} logits and the student {ours}.")
