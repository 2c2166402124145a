"""Factor transfer: Kim, Park, Kwak 2018, https://arxiv.org/abs/1802.04977, eq. 1 to 3; as in RepDistiller, on the last block.

Different: RepDistiller trains the paraphraser for 30 epochs before the student; here both learn from the first step on.
"""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from dlkd_core.catalog.terms import Factors as FactorsParams
from dlkd_core.losses.pairs import paired_shapes, same_size
from dlkd_core.losses.term import Setting, TermModule
from dlkd_core.outputs import Outputs, Targets

_SLOPE = 0.1


class Factors(TermModule):
    """mean | Q(translator(F_S)) - Q(encoder(F_T)) | + mean ( decoder(encoder(F_T)) - F_T )^2 / w.

    Q(F) = mean_c F_c^2 at unit length. The first summand teaches the student and its translator; the second teaches the
    paraphraser (encoder and decoder) alone and at the run's own rate, hence divided by the term's weight w.
    """

    params: FactorsParams

    def __init__(self, params: FactorsParams, setting: Setting) -> None:
        super().__init__(params, setting)
        (ours, *_), (theirs, *_) = paired_shapes(setting)[-1]
        factor = max(1, int(theirs * params.rate))
        self.translator = _layers(nn.Conv2d, (ours, ours, factor, factor), normed=True)
        self.encoder = _layers(nn.Conv2d, (theirs, theirs, factor, factor))
        self.decoder = _layers(nn.ConvTranspose2d, (factor, factor, theirs, theirs))

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - one call for all terms
        """A scalar."""
        theirs = teacher.maps[-1]
        factor = self.encoder(theirs)
        reconstruction = F.mse_loss(self.decoder(factor), theirs)
        return self.between(self.translator(student.maps[-1]), factor.detach()) + reconstruction / self.params.weight

    @staticmethod
    def between(ours: Tensor, theirs: Tensor) -> Tensor:
        """The loss of two factors (N, C, H, W), whatever their sizes."""
        ours, theirs = same_size(ours, theirs)
        return (_factor(ours) - _factor(theirs)).abs().mean()


def _factor(maps: Tensor) -> Tensor:
    return F.normalize(maps.square().mean(dim=1).flatten(1))


def _layers(kind: type[nn.Conv2d | nn.ConvTranspose2d], widths: tuple[int, ...], *, normed: bool = False) -> nn.Sequential:
    """3x3 convolutions of those widths, each before a leaky ReLU."""
    steps = (
        (kind(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs) if normed else nn.Identity(), nn.LeakyReLU(_SLOPE))
        for inputs, outputs in pairwise(widths)
    )
    return nn.Sequential(*(layer for step in steps for layer in step))
