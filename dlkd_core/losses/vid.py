"""Variational information distillation: Ahn et al. 2019, https://arxiv.org/abs/1904.05835, eq. 5 and 6; as in RepDistiller."""

from math import exp, log

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlkd_core.catalog.terms import Variational as VariationalParams
from dlkd_core.losses.pairs import paired, paired_shapes, same_size
from dlkd_core.losses.term import Setting, TermModule
from dlkd_core.outputs import Outputs, Targets

_EPSILON = 1e-5
_FIRST_VARIANCE = 5.0


class Variational(TermModule):
    """Sum over paired blocks of the mean of ( (mu(F_S) - F_T)^2 / var + log var ) / 2, var_c = softplus(a_c) + 1e-5, a learnt."""

    def __init__(self, params: VariationalParams, setting: Setting) -> None:
        super().__init__(params, setting)
        self.guesses = nn.ModuleList(_Guess(ours[0], theirs[0]) for ours, theirs in paired_shapes(setting))

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - one call for all terms
        """A scalar; it may be negative."""
        pairs = [same_size(ours, theirs) for ours, theirs in paired(student.maps, teacher.maps)]
        first: Tensor
        first, *others = (guess(ours, theirs) for guess, (ours, theirs) in zip(self.guesses, pairs, strict=True))
        return sum(others, start=first)


class _Guess(nn.Module):
    """The teacher's block as a Gaussian around what the student's block tells of it."""

    def __init__(self, ours: int, theirs: int) -> None:
        super().__init__()
        layers = [nn.Conv2d(inputs, theirs, 1, bias=False) for inputs in (ours, theirs, theirs)]
        self.regressor = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
        self.log_scale = nn.Parameter(torch.full((theirs,), log(exp(_FIRST_VARIANCE - _EPSILON) - 1)))

    def forward(self, ours: Tensor, theirs: Tensor) -> Tensor:
        variance = (F.softplus(self.log_scale) + _EPSILON).view(1, -1, 1, 1)
        loss: Tensor = (((self.regressor(ours) - theirs).square() / variance + variance.log()) / 2).mean()
        return loss
