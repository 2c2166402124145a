"""A ring buffer of feature rows from earlier batches."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FeatureQueue(nn.Module):
    """The most recently added rows, each of unit length. Initially, the rows are random.

    The whole state is stored in buffers, so that a run can be resumed.

    Args:
        count: number of rows to keep.
        width: width of a row.
    """

    rows: Tensor
    place: Tensor

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.register_buffer("rows", F.normalize(torch.randn(count, width), dim=1))
        # index of the oldest row
        self.register_buffer("place", torch.zeros((), dtype=torch.int64))

    def add(self, new_rows: Tensor) -> None:
        """Replace the oldest rows with new rows of unit length, (N, width).

        `rows` becomes a new tensor, because the backward pass still needs the old one.
        """
        count = len(self.rows)
        new_rows = new_rows.detach()[-count:]
        indices = (self.place + torch.arange(len(new_rows), device=new_rows.device)) % count
        self.rows = self.rows.index_copy(0, indices, new_rows)
        self.place = (self.place + len(new_rows)) % count
