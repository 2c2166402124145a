"""Knowledge alignment: Ding et al., IEEE TNNLS 2024, https://doi.org/10.1109/TNNLS.2022.3190166.

Formula, head and its width from the authors' code, https://github.com/ifding/DLKD (AlignLoss).
"""

import torch.nn.functional as F
from torch import Tensor

from dlkd_core.catalog.terms import Alignment as AlignmentParams
from dlkd_core.losses.heads import mlp_head
from dlkd_core.losses.term import Setting, TermModule
from dlkd_core.outputs import Outputs, Targets


class Alignment(TermModule):
    """mean over all rows of || z - u ||^2 = 2 - 2 <z, u>, with z = g(f_S) / |g(f_S)|, u = f_T / |f_T|, g the head."""

    params: AlignmentParams

    def __init__(self, params: AlignmentParams, setting: Setting) -> None:
        super().__init__(params, setting)
        width = setting.taught().features
        self.head = mlp_head(setting.student.features, params.hidden_factor * width, width)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - one call for all terms
        """A scalar in [0, 4]."""
        z = F.normalize(self.head(student.features), dim=-1)  # (rows, teacher width)
        u = F.normalize(teacher.features, dim=-1)
        return (2 - 2 * (z * u).sum(dim=-1)).mean()
