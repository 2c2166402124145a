"""The teacher's classifier in the student: a linear variant of SimKD.

SimKD (Chen et al. 2022, https://arxiv.org/abs/2203.14001) projects the student's last feature map
to the teacher's and classifies it with the teacher's classifier. Its projector of three
convolutions stays a part of the student. Here the projector is linear, so that it can be merged
with the teacher's classifier into a single linear layer: the student's own classifier.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlkd_core.catalog.loss_params import ReusedClassifierParams
from dlkd_core.errors import SpecError
from dlkd_core.losses.base_loss import DistillationLoss, LossContext, require_teacher_classifier
from dlkd_core.models import FeatureExtractor
from dlkd_core.network_outputs import Outputs, Targets


class ReusedClassifierLoss(DistillationLoss):
    """Squared error between projected features and the teacher's, over all views.

    L = mean ( P f_S + p - f_T )^2

    During training, the student's logits are W_T (P f_S + p) + b_T, with the teacher's frozen
    classifier W_T, b_T. All other terms of the method use these logits. `merge_into` gives the
    student the equivalent classifier W_T P, W_T p + b_T.
    """

    params: ReusedClassifierParams

    def __init__(self, params: ReusedClassifierParams, context: LossContext) -> None:
        super().__init__(params, context)
        require_teacher_classifier(context, params.name)
        student, teacher = context.student_shapes, context.require_teacher()
        self.projector = nn.Linear(student.features, teacher.features)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - all terms share one signature
        return F.mse_loss(self.projector(student.features), teacher.features)

    def make_logits(self, features: Tensor) -> Tensor:
        """Return the logits (N, classes) for the student's features (N, width)."""
        classify = require_teacher_classifier(self.context, self.params.name)
        return classify(self.projector(features))

    @torch.no_grad()
    def merge_into(self, student: FeatureExtractor) -> None:
        """Set the student's classifier so that it computes the same logits from its features.

        Raises:
            SpecError: the student does not compute its logits from the features with one linear
                layer.
        """
        layer = student.classifier
        width = self.projector.in_features
        if not isinstance(layer, nn.Linear) or layer.in_features != width or layer.bias is None:
            raise SpecError(
                f"The term {self.params.name} replaces the student's classifier, which must be a"
                " single linear layer with a bias.",
                hint="Omit this term, or use another student architecture.",
                pointer="/student/architecture",
            )
        basis = torch.eye(width, device=layer.weight.device, dtype=layer.weight.dtype)
        bias = self.make_logits(torch.zeros_like(basis[:1]))  # (1, classes)
        layer.weight.copy_((self.make_logits(basis) - bias).T)
        layer.bias.copy_(bias[0])
