"""Knowledge distillation from a stronger teacher: Huang et al. 2022, https://arxiv.org/abs/2205.10536, eq. 10.

As in https://github.com/hunto/image_classification_sota (DIST).
"""

import torch.nn.functional as F
from torch import Tensor

from dlkd_core.catalog.terms import Relations as RelationsParams
from dlkd_core.losses.kd import same_classes
from dlkd_core.losses.term import Setting, TermModule
from dlkd_core.losses.views import unrotated
from dlkd_core.outputs import Outputs, Targets

_EPSILON = 1e-8


class Relations(TermModule):
    """tau^2 ( beta (1 - mean_i rho(Y_S[i, :], Y_T[i, :])) + gamma (1 - mean_c rho(Y_S[:, c], Y_T[:, c])) ), Y = softmax(z / tau).

    rho is Pearson's correlation; on the first view alone.
    """

    params: RelationsParams

    def __init__(self, params: RelationsParams, setting: Setting) -> None:
        super().__init__(params, setting)
        same_classes(setting)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - one call for all terms
        """A scalar."""
        tau, views = self.params.temperature, self.setting.views
        y_s, y_t = (F.softmax(unrotated(one.logits, views) / tau, dim=1) for one in (student, teacher))  # (batch, classes)
        inter, intra = 1 - _pearson(y_s, y_t).mean(), 1 - _pearson(y_s.T, y_t.T).mean()
        return (self.params.beta * inter + self.params.gamma * intra) * tau**2


def _pearson(a: Tensor, b: Tensor) -> Tensor:
    """Of the rows of two matrices; the constant tells where a class has next to no variance, and is the published one."""
    a, b = (rows - rows.mean(dim=1, keepdim=True) for rows in (a, b))
    lengths: Tensor = a.norm(dim=1) * b.norm(dim=1)
    return (a * b).sum(dim=1) / (lengths + _EPSILON)
