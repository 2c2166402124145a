"""Neuron selectivity transfer: Huang, Wang 2017, https://arxiv.org/abs/1707.01219, eq. 4; as in RepDistiller."""

import torch.nn.functional as F
from torch import Tensor

from dlkd_core.catalog.terms import NeuronSelectivity as NeuronSelectivityParams
from dlkd_core.losses.pairs import paired, paired_shapes, same_size
from dlkd_core.losses.term import Setting, TermModule
from dlkd_core.outputs import Outputs, Targets


class NeuronSelectivity(TermModule):
    """Sum over paired blocks of the squared MMD between their channels at unit length, by the kernel k(a, b) = <a, b>^2."""

    def __init__(self, params: NeuronSelectivityParams, setting: Setting) -> None:
        super().__init__(params, setting)
        paired_shapes(setting)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - one call for all terms
        """A scalar."""
        pairs = [same_size(ours, theirs) for ours, theirs in paired(student.maps, teacher.maps)]
        first, *others = (_mmd(_channels(ours), _channels(theirs)) for ours, theirs in pairs)
        return sum(others, start=first)


def _channels(maps: Tensor) -> Tensor:
    """(N, C, H, W) to (N, C, H * W), each channel at unit length."""
    return F.normalize(maps.flatten(2), dim=2)


def _mmd(ours: Tensor, theirs: Tensor) -> Tensor:
    return _kernel(theirs, theirs) + _kernel(ours, ours) - 2 * _kernel(ours, theirs)


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    """The mean over all pairs of channels of an image, and over images."""
    return (a @ b.transpose(1, 2)).square().mean()
