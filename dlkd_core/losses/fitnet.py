"""Hints: Romero et al. 2015, https://arxiv.org/abs/1412.6550, eq. 3; in one stage, as RepDistiller trains it (hint layer 2)."""

import torch.nn.functional as F
from torch import Tensor, nn

from dlkd_core.catalog.terms import Hint as HintParams
from dlkd_core.losses.pairs import paired, paired_shapes, same_size
from dlkd_core.losses.term import Setting, TermModule
from dlkd_core.outputs import Outputs, Targets

_HINT = 1  # the second pair of blocks


class Hint(TermModule):
    """mean ( r(F_S) - F_T )^2 of the second pair of blocks; r: convolution to the teacher's width and size, batch norm, ReLU."""

    def __init__(self, params: HintParams, setting: Setting) -> None:
        super().__init__(params, setting)
        pairs = paired_shapes(setting)
        self.place = min(_HINT, len(pairs) - 1)
        ours, theirs = pairs[self.place]
        self.pools = not fits(ours, theirs)
        self.regressor = nn.Sequential(convolution(ours, theirs), nn.BatchNorm2d(theirs[0]), nn.ReLU())

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - one call for all terms
        """A scalar."""
        ours, theirs = paired(student.maps, teacher.maps)[self.place]
        if self.pools:
            ours, theirs = same_size(ours, theirs)
        return self.between(self.regressor(ours), theirs)

    @staticmethod
    def between(ours: Tensor, theirs: Tensor) -> Tensor:
        """The loss of maps of one shape."""
        return F.mse_loss(ours, theirs)


def fits(ours: tuple[int, ...], theirs: tuple[int, ...]) -> bool:
    """Whether one of the published convolutions takes the student's size to the teacher's; otherwise the larger map is pooled."""
    (_, h, w), (_, H, W) = ours, theirs
    return (h, w) in ((2 * H, 2 * W), (H, W)) or (2 * h, 2 * w) == (H, W) or (h >= H and w >= W)


def convolution(ours: tuple[int, ...], theirs: tuple[int, ...]) -> nn.Module:
    """RepDistiller's: to the teacher's width and size where it `fits`, to its width alone where not."""
    (c, h, w), (C, H, W) = ours, theirs
    if (h, w) == (2 * H, 2 * W):
        return nn.Conv2d(c, C, 3, stride=2, padding=1)
    if (2 * h, 2 * w) == (H, W):
        return nn.ConvTranspose2d(c, C, 4, stride=2, padding=1)
    if fits(ours, theirs):
        return nn.Conv2d(c, C, (1 + h - H, 1 + w - W))
    return nn.Conv2d(c, C, 1)
