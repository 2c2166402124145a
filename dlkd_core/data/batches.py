"""Which images make up which step: an order a epoch, drawn from the seed, so that any step can be found again."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from dlkd_core.data.ahead import ahead
from dlkd_core.data.host_images import HostImages
from dlkd_core.data.packed import Split
from dlkd_core.data.views import Augmentation, views
from dlkd_core.outputs import Targets

_ORDER, _VIEWS = 1, 2  # streams of random numbers that must not touch
_AHEAD = 2  # batches


def generator_of(*entropy: int) -> torch.Generator:
    """A CPU generator seeded from several integers."""
    state = np.random.SeedSequence(entropy).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(state[0]) << 31 ^ int(state[1]))


class Batches:
    """The training batches of a run, addressed by step. Those of images on disk are read ahead in the background.

    A last batch of a single image is left out: batch statistics need two.
    """

    def __init__(self, split: Split, batch_size: int, augmentation: Augmentation, seed: int) -> None:
        self.split, self.augmentation, self.seed = split, augmentation, seed
        self.batch_size = min(batch_size, len(split))
        whole, rest = divmod(len(split), self.batch_size)
        self.per_epoch = whole + (rest > 1)

    def from_step(self, step: int, steps: int) -> Iterator[tuple[Tensor, Targets]]:
        """Views (B * count, 3, H, W) and targets (B,) of steps `step` up to `steps`."""
        places = self._places(step, steps)
        if isinstance(self.split.images, HostImages):
            return ahead(self._batch, places, _AHEAD)
        return map(self._batch, places)

    def _places(self, step: int, steps: int) -> Iterator[tuple[int, Tensor]]:
        """Each step's number and rows."""
        order = torch.empty(0)
        for number in range(step, steps):
            epoch, place = divmod(number, self.per_epoch)
            if place == 0 or number == step:
                order = self._order(epoch)
            yield number, order[place * self.batch_size : (place + 1) * self.batch_size]

    def _batch(self, place: tuple[int, Tensor]) -> tuple[Tensor, Targets]:
        number, rows = place
        made = views(self.split.images[rows], self.augmentation, generator_of(self.seed, _VIEWS, number))
        return made, Targets(self.split.labels[rows], rows, number // self.per_epoch + 1)

    def _order(self, epoch: int) -> Tensor:
        order = torch.randperm(len(self.split), generator=generator_of(self.seed, _ORDER, epoch))
        return order.to(self.split.labels.device)
