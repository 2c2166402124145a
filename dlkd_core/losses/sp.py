"""Similarity preserving: Tung, Mori 2019, https://arxiv.org/abs/1907.09682, eq. 1 to 4; as in RepDistiller, on the last block."""

import torch.nn.functional as F
from torch import Tensor

from dlkd_core.catalog.terms import Similarity as SimilarityParams
from dlkd_core.losses.pairs import paired_shapes
from dlkd_core.losses.term import Setting, TermModule
from dlkd_core.outputs import Outputs, Targets


class Similarity(TermModule):
    """| G_T - G_S |_F^2 / B^2, G = rows of F F^T at unit length, F the flattened outputs of the last block. B counts views."""

    def __init__(self, params: SimilarityParams, setting: Setting) -> None:
        super().__init__(params, setting)
        paired_shapes(setting)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - one call for all terms
        """A scalar."""
        return (_gram(teacher.maps[-1]) - _gram(student.maps[-1])).square().mean()


def _gram(maps: Tensor) -> Tensor:
    """(N, C, H, W) to (N, N), rows of unit length."""
    rows = maps.flatten(1)
    return F.normalize(rows @ rows.T)
