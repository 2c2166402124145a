"""Self-supervision: Xu et al. 2020, https://arxiv.org/abs/2006.07114, eq. 5 to 8; as in https://github.com/xuguodong03/SSKD.

Different: the published code first trains a head of two layers on the frozen teacher, 60 epochs to find each rotated image's
source, and takes the similarities behind it; here they are those of the teacher's features themselves, as in DLKD.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dlkd_core.catalog.terms import RotatedLogits as RotatedLogitsParams
from dlkd_core.catalog.terms import SelfSupervision as SelfSupervisionParams
from dlkd_core.errors import SpecError
from dlkd_core.losses.heads import projection
from dlkd_core.losses.kd import same_classes
from dlkd_core.losses.term import Setting, TermModule
from dlkd_core.losses.views import rotated, unrotated
from dlkd_core.outputs import Outputs, Targets


class RotatedLogits(TermModule):
    """T^2 * KL( softmax(z_T / T) || softmax(z_S / T) ), mean over the views that are not the first; all of them are kept."""

    params: RotatedLogitsParams

    def __init__(self, params: RotatedLogitsParams, setting: Setting) -> None:
        super().__init__(params, setting)
        same_classes(setting)
        _several_views(setting)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - one call for all terms
        """A scalar."""
        T, views = self.params.temperature, self.setting.views
        log_p, log_q = (F.log_softmax(rotated(one.logits, views) / T, dim=1) for one in (teacher, student))
        return F.kl_div(log_q, log_p, reduction="batchmean", log_target=True) * T**2


class SelfSupervision(TermModule):
    """t^2 * mean over kept rows of KL( softmax(S_T / t) || softmax(S_S / t) ), S the cosines of other views i and first views j.

    S_S is taken behind a head, linear - ReLU - linear. Kept are the rows in which the teacher finds the own image nearest,
    and of the others the share `keep` where it ranks best.
    """

    params: SelfSupervisionParams

    def __init__(self, params: SelfSupervisionParams, setting: Setting) -> None:
        super().__init__(params, setting)
        setting.taught()
        _several_views(setting)
        self.head = projection(setting.student.features, setting.student.features)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:  # noqa: ARG002 - one call for all terms
        """A scalar; widths of student and teacher need not match."""
        ours, theirs = self._cosines(self.head(student.features)), self._cosines(teacher.features)  # (others, batch)
        log_q, log_p = (F.log_softmax(cosines / self.params.temperature, dim=1) for cosines in (ours, theirs))
        divergences = (log_p.exp() * (log_p - log_q)).sum(dim=1)
        kept = well_ranked(theirs, self.params.keep).to(divergences.dtype)
        return (kept * divergences).sum() / kept.sum().clamp_min(1) * self.params.temperature**2

    def _cosines(self, rows: Tensor) -> Tensor:
        units, views = F.normalize(rows, dim=-1), self.setting.views
        return rotated(units, views) @ unrotated(units, views).T


def well_ranked(cosines: Tensor, keep: float) -> Tensor:
    """Which rows of (batch * others, batch) are kept, a mask; nothing is read back from the device."""
    rows, batch = cosines.shape
    own = torch.arange(batch, device=cosines.device).repeat_interleave(rows // batch)
    ranks = (cosines > cosines.gather(1, own[:, None])).sum(dim=1)  # of the own image: 0 is first
    correct = (ranks == 0).sum()
    count = correct + ((rows - correct) * keep).floor()
    return ranks.argsort(stable=True).argsort() < count


def _several_views(setting: Setting) -> None:
    if setting.views < 2:
        raise SpecError(
            "Self-supervision compares the views of an image, and there is one.",
            hint="Set method.views to rotation4 or moco.",
            pointer="/method/views",
        )
