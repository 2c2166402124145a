"""Knowledge correlation: Ding et al., IEEE TNNLS 2024, https://doi.org/10.1109/TNNLS.2022.3190166.

Formula, head and temperature from the authors' code, https://github.com/ifding/DLKD (CorrLoss). That code always has four
rotations; the case of one view, where a row would meet itself, is ours.
"""

import torch.nn.functional as F
from torch import Tensor

from dlkd_core.catalog.terms import Correlation as CorrelationParams
from dlkd_core.losses.heads import mlp_head
from dlkd_core.losses.term import Setting, TermModule
from dlkd_core.losses.views import rotated, unrotated
from dlkd_core.outputs import Outputs, Targets


class Correlation(TermModule):
    """mean over queries of KL( softmax(S_T / t) || softmax(S_S / t) ), S the cosines of queries and keys.

    Queries are the rotated views (of moco the strong crop), keys the unrotated ones (the plain crop); the softmax is over the
    keys, a query's own image among them. With one view an image, queries and keys are the same rows, and each row's similarity
    to itself, which is 1 in both networks, is left out.
    """

    params: CorrelationParams

    def __init__(self, params: CorrelationParams, setting: Setting) -> None:
        super().__init__(params, setting)
        setting.taught()
        width = setting.student.features
        self.head = mlp_head(width, width, width)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - one call for all terms
        """A scalar; widths of student and teacher need not match."""
        log_q = self._relations(self.head(student.features))  # (queries, keys)
        log_p = self._relations(teacher.features)
        return F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)

    def _relations(self, rows: Tensor) -> Tensor:
        units, views = F.normalize(rows, dim=-1), self.setting.views
        cosines = _off_diagonal(units @ units.T) if views == 1 else rotated(units, views) @ unrotated(units, views).T
        return F.log_softmax(cosines / self.params.temperature, dim=1)


def _off_diagonal(square: Tensor) -> Tensor:
    """(n, n) to (n, n - 1): each row without its diagonal entry, the rest in order."""
    n = square.shape[0]
    return square.flatten()[1:].view(n - 1, n + 1)[:, :-1].reshape(n, n - 1)
