"""Supervised contrastive learning: Khosla et al. 2020, https://arxiv.org/abs/2004.11362, eq. 2.

The loss contrasts the embeddings of both networks together, as in https://github.com/ifding/DLKD
(SupConLoss). The constant in the logarithm is also taken from that code.
"""

import torch
from torch import Tensor

from dlkd_core.catalog.loss_params import SupConParams
from dlkd_core.losses.base_loss import DistillationLoss, LossContext, group_by_image
from dlkd_core.losses.heads import UnitEmbedding
from dlkd_core.network_outputs import Outputs, Targets

_EPSILON = 1e-7  # added inside the logarithm


class SupConLoss(DistillationLoss):
    """Supervised contrastive loss, averaged over the rows of both networks.

    L = mean_p -1/|P(p)| sum_{q in P(p)} log( exp(a_p.a_q / T) / sum_{r != p} exp(a_p.a_r / T) )

    a are unit embeddings. P(p) is the set of all other rows with the same class as p, from any view
    and either network. The set is never empty, because it contains the other network's row for the
    same view.
    """

    params: SupConParams

    def __init__(self, params: SupConParams, context: LossContext) -> None:
        super().__init__(params, context)
        self.embed_student = UnitEmbedding(context.student_shapes.features, params.dimensions)
        self.embed_teacher = UnitEmbedding(context.require_teacher().features, params.dimensions)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:
        a_s, a_t = self.embed_student(student.features), self.embed_teacher(teacher.features)
        rows = torch.cat([a_s, a_t])  # (2 * batch * views, dimensions)
        diagonal = torch.eye(len(rows), dtype=torch.bool, device=rows.device)
        positive = self._same_class_mask(student.features, targets.labels) & ~diagonal
        log_p = _log_softmax_off_diagonal(rows @ rows.T / self.params.temperature, diagonal)
        return -((log_p * positive).sum(dim=1) / positive.sum(dim=1)).mean()

    def _same_class_mask(self, features: Tensor, labels: Tensor) -> Tensor:
        images, views = group_by_image(features, self.context.num_views).shape[:2]
        if labels.shape != (images,):
            raise ValueError(
                f"Labels of shape {tuple(labels.shape)} do not match {images} images with "
                f"{views} views each."
            )
        row_labels = labels.repeat_interleave(views).repeat(2)
        return row_labels[:, None] == row_labels[None, :]


def _log_softmax_off_diagonal(logits: Tensor, diagonal: Tensor) -> Tensor:
    """Return the log softmax of each row, with the diagonal entry excluded from the sum.

    As in the published code, the maximum of the whole row, including the diagonal entry, is
    subtracted from the row first.
    """
    shifted = logits - logits.detach().amax(dim=1, keepdim=True)
    others = shifted.exp().masked_fill(diagonal, 0).sum(dim=1, keepdim=True)
    return shifted - (others + _EPSILON).log()
