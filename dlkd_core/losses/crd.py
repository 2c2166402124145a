"""Contrastive representation distillation: Tian, Krishnan, Isola 2020, https://arxiv.org/abs/1910.10699, eq. 10, 11 and 17 to 19.

As in RepDistiller, mode "exact": the positive is the same image, negatives are images of other classes. They are drawn with
replacement, which has the same mean; and the products with a whole bank come before the choice, which is many times faster.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dlkd_core.catalog.terms import Contrast as ContrastParams
from dlkd_core.errors import SpecError
from dlkd_core.losses.heads import UnitEmbedding
from dlkd_core.losses.negatives import Negatives
from dlkd_core.losses.term import Setting, TermModule
from dlkd_core.losses.views import unrotated
from dlkd_core.outputs import Outputs, Targets

_EPSILON = 1e-7


class Contrast(TermModule):
    """L_S + L_T, L = -1/B sum_i ( log p+ / (p+ + K/N) + sum_k log (K/N) / (p_k + K/N) ), p = exp(<e, m> / T) / Z.

    e are unit embeddings of one network, m the other network's memory of the N training images; Z is fixed by the first
    batch. On the first view alone.
    """

    params: ContrastParams
    memory_student: Tensor
    memory_teacher: Tensor
    scales: Tensor

    def __init__(self, params: ContrastParams, setting: Setting) -> None:
        super().__init__(params, setting)
        self.embed_student = UnitEmbedding(setting.student.features, params.dimensions)
        self.embed_teacher = UnitEmbedding(setting.taught().features, params.dimensions)
        for name in ("memory_student", "memory_teacher"):
            bound = (params.dimensions / 3) ** -0.5
            self.register_buffer(name, torch.empty(setting.images, params.dimensions).uniform_(-bound, bound))
        self.register_buffer("scales", torch.zeros(2))  # Z of both networks; 0: not fixed yet
        self.negatives = Negatives(_labels(setting), params.negatives)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:
        """A scalar."""
        views = self.setting.views
        ours = self.embed_student(unrotated(student.features, views))  # (batch, dimensions)
        theirs = self.embed_teacher(unrotated(teacher.features, views))
        return self.between(ours, theirs, targets.rows, self.negatives(targets))

    def between(self, ours: Tensor, theirs: Tensor, rows: Tensor, sample: Tensor) -> Tensor:
        """The loss of embeddings (batch, dimensions) of the images `rows`; `sample` (batch, 1 + K) has the positive first."""
        scores = torch.stack([self._scores(ours, self.memory_teacher, sample), self._scores(theirs, self.memory_student, sample)])
        self._fix_scales(scores.detach())
        self.memory_student = self._updated(self.memory_student, ours.detach(), rows)
        self.memory_teacher = self._updated(self.memory_teacher, theirs.detach(), rows)
        return _nce(scores / self.scales[:, None, None], self.setting.images)

    def _scores(self, embedded: Tensor, memory: Tensor, sample: Tensor) -> Tensor:
        return ((embedded @ memory.T).gather(1, sample) / self.params.temperature).exp()

    def _fix_scales(self, scores: Tensor) -> None:
        fresh = scores.mean(dim=(1, 2)) * self.setting.images
        self.scales.copy_(torch.where(self.scales > 0, self.scales, fresh))

    def _updated(self, memory: Tensor, embedded: Tensor, rows: Tensor) -> Tensor:
        """A new bank: backward still needs the old one."""
        momentum = self.params.momentum
        mixed = momentum * memory[rows] + (1 - momentum) * embedded
        return memory.index_copy(0, rows, F.normalize(mixed))


def _nce(p: Tensor, images: int) -> Tensor:
    """Of both networks, (2, batch, 1 + K)."""
    noise = (p.shape[2] - 1) / images
    positive, negative = p[:, :, :1], p[:, :, 1:]
    log_data = (positive / (positive + noise + _EPSILON)).log().sum()
    log_noise = (noise / (negative + noise + _EPSILON)).log().sum()
    return -(log_data + log_noise) / p.shape[1]


def _labels(setting: Setting) -> Tensor:
    if setting.labels is None or (setting.labels == setting.labels[0]).all():
        raise SpecError("The contrastive term needs training images of two classes at least.", pointer="/method")
    return setting.labels
