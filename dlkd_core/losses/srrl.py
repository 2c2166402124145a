"""Softmax regression representation learning: Yang et al. 2021.

Implements https://openreview.net/forum?id=ZzwDy_wiWv, eq. 3 and 5, as in
https://github.com/jingyang2017/KD_SRRL. In some networks, such as MobileNetV2, the features are not
the pooled mean of the last block. The published code uses the last block even then. Here the
features are used.
"""

from math import sqrt

import torch.nn.functional as F
from torch import Tensor, nn

from dlkd_core.catalog.loss_params import SRRLParams
from dlkd_core.losses.base_loss import (
    DistillationLoss,
    LossContext,
    first_view,
    require_teacher_classifier,
)
from dlkd_core.network_outputs import Outputs, Targets


class SRRLLoss(DistillationLoss):
    """Squared errors of the projected features and of the logits computed from them.

    L = L_FM + w L_SR = mean ( p - f_T )^2 + w mean ( W_T p - z_T )^2, p = pooled mean of r(F_S)

    Both terms are computed on the first view. r is a 1x1 convolution that maps F_S to the
    teacher's width, followed by batch norm and ReLU. F_S is the feature map of the student's last
    block if it is as wide as the student's features, and the features otherwise. W_T is the
    teacher's own classifier, which is frozen.
    """

    params: SRRLParams

    def __init__(self, params: SRRLParams, context: LossContext) -> None:
        super().__init__(params, context)
        require_teacher_classifier(context, params.name)
        student, teacher = context.student_shapes, context.require_teacher()
        self.uses_map = (
            bool(student.feature_maps) and student.feature_maps[-1][0] == student.features
        )
        convolution = nn.Conv2d(student.features, teacher.features, 1, bias=False)
        nn.init.normal_(convolution.weight, std=sqrt(2 / teacher.features))
        self.connector = nn.Sequential(convolution, nn.BatchNorm2d(teacher.features))

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - all terms share one signature
        views = self.context.num_views
        maps = student.feature_maps[-1] if self.uses_map else student.features[:, :, None, None]
        pooled = F.relu(self.connector(first_view(maps, views))).mean(dim=(2, 3))
        classify = require_teacher_classifier(self.context, self.params.name)
        logits = classify(pooled)  # (batch, classes)
        feature_loss = F.mse_loss(pooled, first_view(teacher.features, views))
        logit_loss = F.mse_loss(logits, first_view(teacher.logits, views))
        return feature_loss + self.params.regression * logit_loss
