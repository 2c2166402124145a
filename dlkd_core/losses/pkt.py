"""Probabilistic knowledge transfer: Passalis, Tefas 2018, https://arxiv.org/abs/1803.10837, eq. 4 to 7; as in RepDistiller."""

from torch import Tensor

from dlkd_core.catalog.terms import Probabilities as ProbabilitiesParams
from dlkd_core.losses.term import TermModule
from dlkd_core.outputs import Outputs, Targets

_EPSILON = 1e-7


class Probabilities(TermModule):
    """mean over i, j of P_T log( P_T / P_S ), P = rows of (cos(f_i, f_j) + 1) / 2 that sum to 1, of the features of all rows."""

    params: ProbabilitiesParams

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - one call for all terms
        """A scalar."""
        ours, theirs = _conditional(student.features), _conditional(teacher.features)
        loss: Tensor = (theirs * ((theirs + _EPSILON) / (ours + _EPSILON)).log()).mean()
        return loss


def _conditional(rows: Tensor) -> Tensor:
    """(N, width) to (N, N); the diagonal is kept, as published."""
    unit = rows / (rows.norm(dim=1, keepdim=True) + _EPSILON)
    kernel: Tensor = (unit @ unit.T + 1) / 2
    return kernel / kernel.sum(dim=1, keepdim=True)
