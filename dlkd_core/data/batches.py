"""Training batches. Their order is derived from the seed, so that any step can be reproduced."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from dlkd_core.data.augmentation.mixing import mix_images
from dlkd_core.data.augmentation.views import Augmentation, make_views
from dlkd_core.data.dataset import DatasetSplit
from dlkd_core.data.host_images import HostImages
from dlkd_core.data.prefetch import prefetch
from dlkd_core.network_outputs import Targets

_ORDER_STREAM, _VIEWS_STREAM = 1, 2  # independent streams of random numbers
_PREFETCH_DEPTH = 2  # batches


def seeded_generator(*entropy: int) -> torch.Generator:
    """Return a CPU generator whose seed is derived from several integers."""
    state = np.random.SeedSequence(entropy).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(state[0]) << 31 ^ int(state[1]))


class BatchLoader:
    """The training batches of a run, addressed by step.

    If the images are on disk, batches are prefetched in a background thread. If the last batch of
    an epoch has only one image, it is dropped, because batch statistics need at least two.
    """

    def __init__(
        self, split: DatasetSplit, batch_size: int, augmentation: Augmentation, seed: int
    ) -> None:
        self.split, self.augmentation, self.seed = split, augmentation, seed
        self.batch_size = min(batch_size, len(split))
        full_batches, rest = divmod(len(split), self.batch_size)
        self.steps_per_epoch = full_batches + (rest > 1)

    def iterate(self, start_step: int, end_step: int) -> Iterator[tuple[Tensor, Targets]]:
        """Yield views (batch * views, 3, H, W) and targets (batch,) for a range of steps.

        `end_step` is exclusive.
        """
        steps = self._rows_of_steps(start_step, end_step)
        if isinstance(self.split.images, HostImages):
            return prefetch(self._make_batch, steps, _PREFETCH_DEPTH)
        return map(self._make_batch, steps)

    def _rows_of_steps(self, start_step: int, end_step: int) -> Iterator[tuple[int, Tensor]]:
        """Yield each step and the indices of its images."""
        order = torch.empty(0)
        for step in range(start_step, end_step):
            epoch, batch = divmod(step, self.steps_per_epoch)
            if batch == 0 or step == start_step:
                order = self._shuffle(epoch)
            yield step, order[batch * self.batch_size : (batch + 1) * self.batch_size]

    def _make_batch(self, step_rows: tuple[int, Tensor]) -> tuple[Tensor, Targets]:
        step, rows = step_rows
        generator = seeded_generator(self.seed, _VIEWS_STREAM, step)
        views = make_views(self.split.images[rows], self.augmentation, generator)
        labels = self.split.labels[rows]
        targets = Targets(labels, rows, step // self.steps_per_epoch + 1)
        if not self.augmentation.mixes_images:
            return views, targets
        mixed, mixture = mix_images(
            views, len(rows), self.augmentation.mixup, self.augmentation.cutmix, generator
        )
        return mixed, targets._replace(
            other_labels=labels[mixture.partners.to(labels.device)],
            shares=torch.full((len(rows),), mixture.share, device=labels.device),
        )

    def _shuffle(self, epoch: int) -> Tensor:
        order = torch.randperm(
            len(self.split), generator=seeded_generator(self.seed, _ORDER_STREAM, epoch)
        )
        return order.to(self.split.labels.device)
