"""Rows of earlier batches, kept in a ring."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Queue(nn.Module):
    """The last rows that were added, of unit length; random ones before. It is whole in its buffers: a run can be resumed.

    Args:
        count: rows that it holds.
        width: of a row.
    """

    rows: Tensor
    place: Tensor

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.register_buffer("rows", F.normalize(torch.randn(count, width), dim=1))
        self.register_buffer("place", torch.zeros((), dtype=torch.int64))  # of the oldest row

    def add(self, fresh: Tensor) -> None:
        """Takes rows (N, width) of unit length for the oldest ones. The buffer is a new one: backward still needs the old."""
        count = len(self.rows)
        fresh = fresh.detach()[-count:]
        places = (self.place + torch.arange(len(fresh), device=fresh.device)) % count
        self.rows = self.rows.index_copy(0, places, fresh)
        self.place = (self.place + len(fresh)) % count
