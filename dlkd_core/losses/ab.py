"""Activation boundaries: Heo et al. 2019, https://arxiv.org/abs/1811.03233, eq. 5 to 7; weights of the blocks as in RepDistiller.

Different: RepDistiller trains with this loss alone for 30 epochs and then with the labels alone; here both are one loss with
constant weights. It takes blocks before their last ReLU; here they are as the networks give them. For the teacher that is the
same (active is what is above zero). What a ReLU has cut off from the student's could never be raised again, so that every block
has a convolution with batch norm between, where RepDistiller has none between blocks of one shape. Where no published convolution
fits two sizes, the larger map is pooled: a neuron then is active where one of its window is.
"""

import torch
from torch import Tensor, nn

from dlkd_core.catalog.terms import Boundaries as BoundariesParams
from dlkd_core.losses.fitnet import convolution
from dlkd_core.losses.pairs import paired, paired_shapes, same_size
from dlkd_core.losses.term import Setting, TermModule
from dlkd_core.outputs import Outputs, Targets

_SCALE = 3 / 1000  # RepDistiller's, of a sum over all neurons


class Boundaries(TermModule):
    """Sum over paired blocks of w_l * 0.003 / N * sum ( (s + m)^2 [t <= 0, s > -m] + (s - m)^2 [t > 0, s <= m] ).

    s = r(F_S), t = F_T; w_l = 1 of the last block, halved with each before it; m the margin; r: convolution to the teacher's
    width and size, batch norm.
    """

    params: BoundariesParams

    def __init__(self, params: BoundariesParams, setting: Setting) -> None:
        super().__init__(params, setting)
        self.connectors = nn.ModuleList(_connector(ours, theirs) for ours, theirs in paired_shapes(setting))

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - one call for all terms
        """A scalar."""
        pairs = zip(self.connectors, paired(student.maps, teacher.maps), strict=True)
        losses = [self.between(connect(ours), theirs) for connect, (ours, theirs) in pairs]
        weights = [0.5**depth for depth in reversed(range(len(losses)))]
        return (torch.stack(losses) * losses[0].new_tensor(weights)).sum()

    def between(self, ours: Tensor, theirs: Tensor) -> Tensor:
        """The loss of maps (N, C, H, W) of one width: the mean over images of the scaled sum over neurons."""
        ours, theirs = same_size(ours, theirs)
        margin = self.params.margin
        raised = (margin - ours).clamp_min(0).square()  # what should be active and is not by the margin
        lowered = (margin + ours).clamp_min(0).square()
        return torch.where(theirs > 0, raised, lowered).sum() / len(ours) * _SCALE


def _connector(ours: tuple[int, ...], theirs: tuple[int, ...]) -> nn.Module:
    return nn.Sequential(convolution(ours, theirs), nn.BatchNorm2d(theirs[0]))
