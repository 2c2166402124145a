"""Small trainable heads that carry a student's features into the space of a loss."""

import torch.nn.functional as F
from torch import Tensor, nn


def mlp_head(width: int, hidden: int, out: int) -> nn.Sequential:
    """(N, width) to (N, out) through one hidden layer with batch statistics: training needs at least two rows."""
    return nn.Sequential(nn.Linear(width, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, out))


def projection(width: int, out: int) -> nn.Sequential:
    """(N, width) to (N, out) through one hidden layer of the first width, row by row."""
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, out))


class UnitEmbedding(nn.Linear):
    """(N, width) to (N, dimensions), rows of unit length."""

    def forward(self, rows: Tensor) -> Tensor:
        """The embedding of each row."""
        return F.normalize(super().forward(rows), dim=-1)
