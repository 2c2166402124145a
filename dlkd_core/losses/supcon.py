"""Supervised contrast between teacher and student: Khosla et al. 2020, https://arxiv.org/abs/2004.11362, equation 2.

Over both networks' embeddings together, as in https://github.com/ifding/DLKD (SupConLoss), where the constant in the
logarithm comes from.
"""

import torch
from torch import Tensor

from dlkd_core.catalog.terms import SupervisedContrast as SupervisedContrastParams
from dlkd_core.losses.heads import UnitEmbedding
from dlkd_core.losses.term import Setting, TermModule
from dlkd_core.losses.views import by_image
from dlkd_core.outputs import Outputs, Targets

_EPSILON = 1e-7  # inside the logarithm


class SupervisedContrast(TermModule):
    """mean over rows p of both networks of -1/|P(p)| sum_{q in P(p)} log( exp(a_p.a_q / T) / sum_{r != p} exp(a_p.a_r / T) ).

    a are unit embeddings; P(p) are the other rows of p's class, whatever their view and network: never empty, for the other
    network's row of the same view is one of them.
    """

    params: SupervisedContrastParams

    def __init__(self, params: SupervisedContrastParams, setting: Setting) -> None:
        super().__init__(params, setting)
        self.embed_student = UnitEmbedding(setting.student.features, params.dimensions)
        self.embed_teacher = UnitEmbedding(setting.taught().features, params.dimensions)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:
        """A scalar."""
        ours, theirs = self.embed_student(student.features), self.embed_teacher(teacher.features)
        rows = torch.cat([ours, theirs])  # (2 * batch * views, dimensions)
        itself = torch.eye(len(rows), dtype=torch.bool, device=rows.device)
        positive = self._same_class(student.features, targets.labels) & ~itself
        log_p = _log_softmax_of_others(rows @ rows.T / self.params.temperature, itself)
        return -((log_p * positive).sum(dim=1) / positive.sum(dim=1)).mean()

    def _same_class(self, features: Tensor, labels: Tensor) -> Tensor:
        images, views = by_image(features, self.setting.views).shape[:2]
        if labels.shape != (images,):
            raise ValueError(f"{tuple(labels.shape)} labels for {images} images of {views} views each")
        each = labels.repeat_interleave(views).repeat(2)
        return each[:, None] == each[None, :]


def _log_softmax_of_others(logits: Tensor, itself: Tensor) -> Tensor:
    """Log softmax over each row's other rows; shifted by the maximum over all, as published."""
    shifted = logits - logits.detach().amax(dim=1, keepdim=True)
    others = shifted.exp().masked_fill(itself, 0).sum(dim=1, keepdim=True)
    return shifted - (others + _EPSILON).log()
