"""Training images of other classes, drawn anew for each batch."""

import torch
from torch import Tensor, nn

from dlkd_core.outputs import Targets

_SEEDS = 2**62


class Negatives(nn.Module):
    """Draws K rows of other classes for each image of a batch. Its random numbers follow from its buffers: it can be resumed.

    Args:
        labels: (N,) of all training images.
        count: K; no more than there are images outside the largest class.
    """

    by_class: Tensor
    starts: Tensor
    sizes: Tensor
    state: Tensor

    def __init__(self, labels: Tensor, count: int) -> None:
        super().__init__()
        sizes = torch.bincount(labels)
        self.count = min(count, len(labels) - int(sizes.max()))
        self.register_buffer("by_class", labels.argsort(stable=True), persistent=False)  # rows, class by class
        self.register_buffer("sizes", sizes, persistent=False)
        self.register_buffer("starts", sizes.cumsum(0) - sizes, persistent=False)
        self.register_buffer("state", torch.randint(_SEEDS, (1,)))  # counted up at each batch

    def forward(self, targets: Targets) -> Tensor:
        """(batch, 1 + K) rows of training images: the image itself, then the negatives."""
        generator = torch.Generator().manual_seed(int(self.state))
        self.state += 1
        own = self.sizes[targets.labels][:, None]  # (batch, 1)
        drawn = torch.rand(len(targets.labels), self.count, dtype=torch.float64, generator=generator).to(own.device)
        place = (drawn * (len(self.by_class) - own)).long()  # among the other classes' images
        place += own * (place >= self.starts[targets.labels][:, None])  # stepping over those of its own
        return torch.cat([targets.rows[:, None], self.by_class[place]], dim=1)
