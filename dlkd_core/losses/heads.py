"""Small trainable heads that map features into the space in which a loss compares them."""

import torch.nn.functional as F
from torch import Tensor, nn


def mlp_head(width: int, hidden: int, out: int) -> nn.Sequential:
    """Return a head that maps (N, width) to (N, out), with one hidden layer and batch norm.

    Because of the batch norm, a training batch needs at least two rows.
    """
    return nn.Sequential(
        nn.Linear(width, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, out)
    )


def projection_head(width: int, out: int) -> nn.Sequential:
    """Return a head that maps (N, width) to (N, out), with a hidden layer but no batch norm."""
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, out))


class UnitEmbedding(nn.Linear):
    """A linear layer that maps (N, width) to (N, dimensions) and scales each row to unit length."""

    def forward(self, rows: Tensor) -> Tensor:
        return F.normalize(super().forward(rows), dim=-1)
