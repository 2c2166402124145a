"""Softened logits: Hinton, Vinyals and Dean 2015, https://arxiv.org/abs/1503.02531, section 2."""

from torch import Tensor

from dlkd_core.catalog.loss_params import KDParams
from dlkd_core.losses.base_loss import (
    DistillationLoss,
    LossContext,
    check_same_classes,
    first_view,
    softened_kl_divergence,
)
from dlkd_core.losses.standardization import check_standardizable, standardize_logits
from dlkd_core.network_outputs import Outputs, Targets


class KDLoss(DistillationLoss):
    """KL divergence between softened logits on the first view, averaged over images.

    L = T^2 * KL( softmax(z_T / T) || softmax(z_S / T) )

    With `standardize`, z are the z-scores of the logits.
    """

    params: KDParams

    def __init__(self, params: KDParams, context: LossContext) -> None:
        super().__init__(params, context)
        check_same_classes(context)
        if params.standardize:
            check_standardizable(context)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - all terms share one signature
        T, views = self.params.temperature, self.context.num_views
        z_s, z_t = first_view(student.logits, views), first_view(teacher.logits, views)
        if self.params.standardize:
            z_s, z_t = standardize_logits(z_s), standardize_logits(z_t)
        return softened_kl_divergence(z_s, z_t, T) * T**2
