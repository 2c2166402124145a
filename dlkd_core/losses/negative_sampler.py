"""Negatives for contrastive losses: training images of other classes, drawn for each batch."""

import torch
from torch import Tensor, nn

from dlkd_core.network_outputs import Targets

_MAX_SEED = 2**62


class NegativeSampler(nn.Module):
    """Draws K training images of other classes for each image of a batch.

    The seed of the next batch is stored in a buffer, so that a run can be resumed.

    Args:
        labels: labels of the training split, (N,).
        count: the number K of negatives, which are drawn with replacement.
    """

    by_class: Tensor
    starts: Tensor
    sizes: Tensor
    state: Tensor

    def __init__(self, labels: Tensor, count: int) -> None:
        super().__init__()
        sizes = torch.bincount(labels)
        self.count = count
        # image indices sorted by class
        self.register_buffer("by_class", labels.argsort(stable=True), persistent=False)
        self.register_buffer("sizes", sizes, persistent=False)
        self.register_buffer("starts", sizes.cumsum(0) - sizes, persistent=False)
        # seed of the next batch
        self.register_buffer("state", torch.randint(_MAX_SEED, (1,)))

    def forward(self, targets: Targets) -> Tensor:
        """Return the indices of each image and of its negatives, in this order, (batch, 1 + K)."""
        generator = torch.Generator().manual_seed(int(self.state))
        self.state += 1
        class_sizes = self.sizes[targets.labels][:, None]  # (batch, 1)
        uniform = torch.rand(
            len(targets.labels), self.count, dtype=torch.float64, generator=generator
        ).to(class_sizes.device)
        # positions in `by_class` after the images of the same class are removed
        positions = (uniform * (len(self.by_class) - class_sizes)).long()
        positions += class_sizes * (positions >= self.starts[targets.labels][:, None])
        return torch.cat([targets.indices[:, None], self.by_class[positions]], dim=1)
