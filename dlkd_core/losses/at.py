"""Attention transfer: Zagoruyko, Komodakis 2017, https://arxiv.org/abs/1612.03928, section 3.1; as in RepDistiller, p = 2."""

import torch.nn.functional as F
from torch import Tensor

from dlkd_core.catalog.terms import Attention as AttentionParams
from dlkd_core.losses.pairs import paired, paired_shapes, same_size
from dlkd_core.losses.term import Setting, TermModule
from dlkd_core.outputs import Outputs, Targets


class Attention(TermModule):
    """Sum over paired blocks of the mean of ( Q(F_S) - Q(F_T) )^2, Q(F) = v / |v|, v = vec( mean_c F_c^2 )."""

    def __init__(self, params: AttentionParams, setting: Setting) -> None:
        super().__init__(params, setting)
        paired_shapes(setting)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - one call for all terms
        """A scalar."""
        pairs = [same_size(ours, theirs) for ours, theirs in paired(student.maps, teacher.maps)]
        first, *others = ((_attention(ours) - _attention(theirs)).square().mean() for ours, theirs in pairs)
        return sum(others, start=first)


def _attention(maps: Tensor) -> Tensor:
    """(N, C, H, W) to (N, H * W), rows of unit length."""
    return F.normalize(maps.square().mean(dim=1).flatten(1))
