"""Multi-level logit distillation: Jin, Wang and Lin, CVPR 2023.

Implements the loss of https://github.com/Jin-Ying/Multi-Level-Logit-Distillation (KD_ours), which
differs from the paper:

- Of the temperatures 2 and 6, the code compares the instances of the first view a second time
  instead of those of the other view.
- The batch and class levels are compared on the first view only.
- The masks of confident rows do not select rows, because they multiply a loss that is already a
  mean. They only scale the loss by the fraction of rows (or classes) that are not confident, which
  is about one half.

The published code makes the other view with RandAugment and Cutout. See `MLLD` in the catalog for
the views that are used here.
"""

import torch.nn.functional as F
from torch import Tensor

from dlkd_core.catalog.loss_params import MLLDParams
from dlkd_core.losses.base_loss import (
    DistillationLoss,
    LossContext,
    check_same_classes,
    check_several_views,
    first_view,
    other_views,
    softened_kl_divergence,
    sum_losses,
)
from dlkd_core.network_outputs import Outputs, Targets

# Temperatures of the published code in addition to the base temperature.
_TEMPERATURES_OF_BOTH_VIEWS, _TEMPERATURES_OF_FIRST_VIEW = (3.0, 5.0), (2.0, 6.0)


class MLLDLoss(DistillationLoss):
    """Distances between softened probabilities of instances, batches and classes.

    L = sum_T [ r (T^2 KL_T + B_T) + c C_T ]                    (first view, T in {t, 2, 3, 5, 6})
        + sum_T T^2 KL_T                                        (other views, T in {t, 3, 5})
        + sum_T T^2 KL_T                                        (first view, T in {2, 6})

    B_T = || P_T P_T^t - P_S P_S^t ||^2 / batch, C_T = || P_T^t P_T - P_S^t P_S ||^2 / classes

    P are the probabilities softmax(z / T), with a row for each image. r is the fraction of rows in
    which the teacher's largest probability is at most the median of the rows. c is the fraction of
    classes in which the sum of the teacher's probabilities is at most the median of the classes.
    """

    params: MLLDParams

    def __init__(self, params: MLLDParams, context: LossContext) -> None:
        super().__init__(params, context)
        check_same_classes(context)
        check_several_views(context)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - all terms share one signature
        views = self.context.num_views
        first = first_view(student.logits, views), first_view(teacher.logits, views)
        others = other_views(student.logits, views), other_views(teacher.logits, views)
        p_t = F.softmax(first[1], dim=1)  # (batch, classes)
        row_fraction = _fraction_up_to_median(p_t.amax(dim=1))
        class_fraction = _fraction_up_to_median(p_t.sum(dim=0))
        both = (self.params.temperature, *_TEMPERATURES_OF_BOTH_VIEWS)
        return sum_losses(
            [
                *(
                    row_fraction * (_instance_loss(*first, T) + _batch_loss(*first, T))
                    + class_fraction * _class_loss(*first, T)
                    for T in (*both, *_TEMPERATURES_OF_FIRST_VIEW)
                ),
                *(_instance_loss(*others, T) for T in both),
                *(_instance_loss(*first, T) for T in _TEMPERATURES_OF_FIRST_VIEW),
            ]
        )


def _fraction_up_to_median(values: Tensor) -> Tensor:
    return (values <= values.quantile(0.5)).to(values.dtype).mean()


def _instance_loss(z_s: Tensor, z_t: Tensor, T: float) -> Tensor:
    return softened_kl_divergence(z_s, z_t, T) * T**2


def _batch_loss(z_s: Tensor, z_t: Tensor, T: float) -> Tensor:
    """Return the squared distance of the matrices of products between images, per image."""
    p_s, p_t = F.softmax(z_s / T, dim=1), F.softmax(z_t / T, dim=1)
    return (p_t @ p_t.T - p_s @ p_s.T).square().sum() / z_s.shape[0]


def _class_loss(z_s: Tensor, z_t: Tensor, T: float) -> Tensor:
    """Return the squared distance of the matrices of products between classes, per class."""
    p_s, p_t = F.softmax(z_s / T, dim=1), F.softmax(z_t / T, dim=1)
    return (p_t.T @ p_t - p_s.T @ p_s).square().sum() / z_s.shape[1]
