"""Contrastive representation distillation: Tian et al. 2020, https://arxiv.org/abs/1910.10699.

Implements eq. 10, 11 and 17 to 19, as in RepDistiller's mode "exact": the positive is the same
image, and the negatives are images of other classes. There are two differences. Negatives are drawn
with replacement, which does not change the expected loss. Embeddings are multiplied by the whole
memory before the drawn rows are selected, which is many times faster.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dlkd_core.catalog.loss_params import CRDParams
from dlkd_core.errors import SpecError
from dlkd_core.losses.base_loss import DistillationLoss, LossContext, first_view
from dlkd_core.losses.heads import UnitEmbedding
from dlkd_core.losses.negative_sampler import NegativeSampler
from dlkd_core.network_outputs import Outputs, Targets

_EPSILON = 1e-7


class CRDLoss(DistillationLoss):
    """Noise-contrastive loss between each network and the stored embeddings of the other one.

    L = L_S + L_T, each -1/B sum_i ( log p+ / (p+ + K/N) + sum_k log (K/N) / (p_k + K/N) ),
    p = exp(<e, m> / T) / Z

    e are unit embeddings from one network, and m are the other network's stored embeddings of the N
    training images. Z is computed on the first batch and then stays fixed. Only the first view of
    each image is used.
    """

    params: CRDParams
    memory_student: Tensor
    memory_teacher: Tensor
    scales: Tensor

    def __init__(self, params: CRDParams, context: LossContext) -> None:
        super().__init__(params, context)
        self.embed_student = UnitEmbedding(context.student_shapes.features, params.dimensions)
        self.embed_teacher = UnitEmbedding(context.require_teacher().features, params.dimensions)
        bound = (params.dimensions / 3) ** -0.5
        for name in ("memory_student", "memory_teacher"):
            memory = torch.empty(context.num_images, params.dimensions).uniform_(-bound, bound)
            self.register_buffer(name, memory)
        self.register_buffer(
            "scales", torch.zeros(2)
        )  # Z for each network; 0 before the first batch
        self.negatives = NegativeSampler(_require_labels(context), params.negatives)

    def forward(self, student: Outputs, teacher: Outputs, targets: Targets) -> Tensor:
        views = self.context.num_views
        e_s = self.embed_student(first_view(student.features, views))  # (batch, dimensions)
        e_t = self.embed_teacher(first_view(teacher.features, views))
        return self.compute_loss(e_s, e_t, targets.indices, self.negatives(targets))

    def compute_loss(
        self, student: Tensor, teacher: Tensor, rows: Tensor, sample: Tensor
    ) -> Tensor:
        """Return the loss and update the memories.

        Args:
            student: embeddings (batch, dimensions).
            teacher: embeddings (batch, dimensions).
            rows: indices of the images in the training split, (batch,).
            sample: indices of the positive and then of the K negatives, (batch, 1 + K).
        """
        scores = torch.stack(
            [
                self._similarity_scores(student, self.memory_teacher, sample),
                self._similarity_scores(teacher, self.memory_student, sample),
            ]
        )
        self._fix_scales(scores.detach())
        self.memory_student = self._update_memory(self.memory_student, student.detach(), rows)
        self.memory_teacher = self._update_memory(self.memory_teacher, teacher.detach(), rows)
        return _nce_loss(scores / self.scales[:, None, None], self.context.num_images)

    def _similarity_scores(self, embedded: Tensor, memory: Tensor, sample: Tensor) -> Tensor:
        return ((embedded @ memory.T).gather(1, sample) / self.params.temperature).exp()

    def _fix_scales(self, scores: Tensor) -> None:
        measured = scores.mean(dim=(1, 2)) * self.context.num_images
        self.scales.copy_(torch.where(self.scales > 0, self.scales, measured))

    def _update_memory(self, memory: Tensor, embedded: Tensor, rows: Tensor) -> Tensor:
        """Return an updated copy of the memory. The backward pass still needs the old values."""
        momentum = self.params.momentum
        mixed = momentum * memory[rows] + (1 - momentum) * embedded
        return memory.index_copy(0, rows, F.normalize(mixed))


def _nce_loss(p: Tensor, num_images: int) -> Tensor:
    """Return the sum of both networks' losses.

    `p` is (2, batch, 1 + K), and the positive comes first.
    """
    noise = (p.shape[2] - 1) / num_images
    positive, negative = p[:, :, :1], p[:, :, 1:]
    log_data = (positive / (positive + noise + _EPSILON)).log().sum()
    log_noise = (noise / (negative + noise + _EPSILON)).log().sum()
    return -(log_data + log_noise) / p.shape[1]


def _require_labels(context: LossContext) -> Tensor:
    if context.labels is None or (context.labels == context.labels[0]).all():
        raise SpecError(
            "The crd term needs training images of at least two classes.", pointer="/method"
        )
    return context.labels
