"""Knowledge review: Chen et al. 2021, https://arxiv.org/abs/2104.09044, section 3; as in https://github.com/dvlab-research/ReviewKD.

Different: the teacher's blocks are taken as the network gives them, after their last ReLU; the published code takes them
before it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlkd_core.catalog.terms import Review as ReviewParams
from dlkd_core.losses.pairs import paired, paired_shapes
from dlkd_core.losses.term import Setting, TermModule
from dlkd_core.outputs import Outputs, Targets

_WIDEST = 512
_SIZES = (4, 2, 1)  # of the pooled maps that are compared beside the whole


class Review(TermModule):
    """Sum over stages of HCL(ABF(F_S), F_T). The stages are the pooled features and the paired blocks, from deep to shallow."""

    def __init__(self, params: ReviewParams, setting: Setting) -> None:
        super().__init__(params, setting)
        pairs = paired_shapes(setting)
        width = setting.student.features
        inputs = [width, *(ours[0] for ours, _ in reversed(pairs))]
        outputs = [setting.taught().features, *(theirs[0] for _, theirs in reversed(pairs))]
        middle = min(_WIDEST, width)
        stages = enumerate(zip(inputs, outputs, strict=True))
        self.fusions = nn.ModuleList(_Fusion(ours, middle, theirs, fuses=place > 0) for place, (ours, theirs) in stages)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - one call for all terms
        """A scalar."""
        pairs = [(student.features[:, :, None, None], teacher.features[:, :, None, None])]
        pairs += reversed(paired(student.maps, teacher.maps))
        loss, deeper = student.features.new_zeros(()), None
        for fusion, (ours, theirs) in zip(self.fusions, pairs, strict=True):
            shown, deeper = fusion(ours, deeper, theirs.shape[2:])
            loss = loss + context_loss(shown, theirs)
        return loss


class _Fusion(nn.Module):
    """ABF, the attention based fusion of a stage with what came of the deeper ones."""

    def __init__(self, ours: int, middle: int, theirs: int, *, fuses: bool) -> None:
        super().__init__()
        narrow, wide = nn.Conv2d(ours, middle, 1, bias=False), nn.Conv2d(middle, theirs, 3, padding=1, bias=False)
        for convolution in (narrow, wide):
            nn.init.kaiming_uniform_(convolution.weight, a=1)
        self.reduce = nn.Sequential(narrow, nn.BatchNorm2d(middle))
        self.expand = nn.Sequential(wide, nn.BatchNorm2d(theirs))
        self.attention = nn.Sequential(nn.Conv2d(2 * middle, 2, 1), nn.Sigmoid()) if fuses else None

    def forward(self, ours: Tensor, deeper: Tensor | None, size: torch.Size) -> tuple[Tensor, Tensor]:
        """The stage in the teacher's width and size, and the fused map (N, middle, *size) for the next stage."""
        fused: Tensor = self.reduce(ours)
        if self.attention is not None and deeper is not None:
            deeper = F.interpolate(deeper, fused.shape[2:])  # nearest
            shares = self.attention(torch.cat([fused, deeper], dim=1))  # (N, 2, h, w)
            fused = fused * shares[:, :1] + deeper * shares[:, 1:]
        fused = F.interpolate(fused, size)
        return self.expand(fused), fused


def context_loss(ours: Tensor, theirs: Tensor) -> Tensor:
    """HCL of maps of one shape: the squared error whole, and pooled to 4, 2, 1 with weights 1/2, 1/4, 1/8; over their sum."""
    loss, weight, total = F.mse_loss(ours, theirs), 1.0, 1.0
    for size in _SIZES:
        if size < ours.shape[2]:
            weight /= 2
            total += weight
            loss = loss + weight * F.mse_loss(F.adaptive_avg_pool2d(ours, size), F.adaptive_avg_pool2d(theirs, size))
    return loss / total
