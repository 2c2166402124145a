"""Self-supervised knowledge distillation: Xu et al. 2020, https://arxiv.org/abs/2006.07114.

Implements eq. 5 to 8, as in https://github.com/xuguodong03/SSKD, with one difference. The published
code first trains a two-layer head on the frozen teacher for 60 epochs. The head learns to match
each rotated image to its source. The loss then uses the similarities between the head's outputs.
Here the similarities between the teacher's features are used, as in DLKD.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dlkd_core.catalog.loss_params import SSKDLogitsParams, SSKDParams
from dlkd_core.losses.base_loss import (
    DistillationLoss,
    LossContext,
    check_same_classes,
    check_several_views,
    other_views,
    softened_kl_divergence,
    view_cosines,
)
from dlkd_core.losses.heads import projection_head
from dlkd_core.network_outputs import Outputs, Targets


class SSKDLogitsLoss(DistillationLoss):
    """KL divergence between the networks' softened logits, averaged over all but the first views.

    L = T^2 * KL( softmax(z_T / T) || softmax(z_S / T) )

    Unlike `SSKDLoss`, which drops views that the teacher ranks badly, this term keeps all of them.
    """

    params: SSKDLogitsParams

    def __init__(self, params: SSKDLogitsParams, context: LossContext) -> None:
        super().__init__(params, context)
        check_same_classes(context)
        check_several_views(context)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - all terms share one signature
        T, views = self.params.temperature, self.context.num_views
        z_s, z_t = other_views(student.logits, views), other_views(teacher.logits, views)
        return softened_kl_divergence(z_s, z_t, T) * T**2


class SSKDLoss(DistillationLoss):
    """KL divergence between the teacher's and the student's view similarities.

    L = t^2 * mean KL( softmax(S_T / t) || softmax(S_S / t) ),
    S_ij = cosine between the features of later view i and first view j

    Later views are all views but the first of each image. S_S is computed on the outputs of a
    linear - ReLU - linear head. The mean is over the rows that are kept. In each row, the teacher's
    cosines rank the images of the batch. A row is kept if the view's own image ranks first. Of the
    other rows, the fraction `keep` in which it ranks best is kept. Student and teacher features may
    differ in width.
    """

    params: SSKDParams

    def __init__(self, params: SSKDParams, context: LossContext) -> None:
        super().__init__(params, context)
        context.require_teacher()
        check_several_views(context)
        width = context.student_shapes.features
        self.head = projection_head(width, width)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - all terms share one signature
        t, views = self.params.temperature, self.context.num_views
        cosines_s = view_cosines(self.head(student.features), views)  # (other views, batch)
        cosines_t = view_cosines(teacher.features, views)
        log_q = F.log_softmax(cosines_s / t, dim=1)
        log_p = F.log_softmax(cosines_t / t, dim=1)
        divergences = (log_p.exp() * (log_p - log_q)).sum(dim=1)
        kept = select_well_ranked_rows(cosines_t, self.params.keep).to(divergences.dtype)
        return (kept * divergences).sum() / kept.sum().clamp_min(1) * t**2


def select_well_ranked_rows(cosines: Tensor, keep_fraction: float) -> Tensor:
    """Return a mask of the rows to keep, for cosines (batch * others, batch).

    The mask keeps all rows in which the view's own image ranks first. Of the other rows, it keeps
    the fraction `keep_fraction` in which that image ranks best. Computing the mask does not make
    the CPU wait for the GPU.
    """
    rows, batch = cosines.shape
    own_images = torch.arange(batch, device=cosines.device).repeat_interleave(rows // batch)
    # rank of the image of the row's view, where 0 is the best
    ranks = (cosines > cosines.gather(1, own_images[:, None])).sum(dim=1)
    correct = (ranks == 0).sum()
    count = correct + ((rows - correct) * keep_fraction).floor()
    return ranks.argsort(stable=True).argsort() < count
