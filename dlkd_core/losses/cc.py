"""Correlation congruence: Peng et al. 2019, https://arxiv.org/abs/1904.01802.

This is the variant that RepDistiller implements.
"""

from torch import Tensor, nn

from dlkd_core.catalog.loss_params import CCParams
from dlkd_core.losses.base_loss import DistillationLoss, LossContext
from dlkd_core.network_outputs import Outputs, Targets


class CCLoss(DistillationLoss):
    """Inner product of the embedding differences of consecutive rows, averaged over rows.

    L = mean_i <d_i, d_(i+1)>, d = |e_S - e_T|

    d_i is the absolute difference between the networks' embeddings of row i of the batch. e_S and
    e_T are learned linear embeddings of the networks' features.
    """

    params: CCParams

    def __init__(self, params: CCParams, context: LossContext) -> None:
        super().__init__(params, context)
        self.embed_student = nn.Linear(context.student_shapes.features, params.dimensions)
        self.embed_teacher = nn.Linear(context.require_teacher().features, params.dimensions)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - all terms share one signature
        return self.compute_loss(
            self.embed_student(student.features), self.embed_teacher(teacher.features)
        )

    @staticmethod
    def compute_loss(student: Tensor, teacher: Tensor) -> Tensor:
        """Return the loss between two batches of embeddings (N, dimensions)."""
        difference = (student - teacher).abs()
        return (difference[:-1] * difference[1:]).sum(dim=1).mean()
