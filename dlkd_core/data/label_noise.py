"""Drops training images or permutes labels, to reproduce experiments with few or noisy labels.

The evaluation split is never changed.
"""

from dataclasses import replace

import torch
from torch import Tensor

from dlkd_core.data.batches import seeded_generator
from dlkd_core.data.dataset import DatasetSplit, ImageDataset
from dlkd_core.data.host_images import HostImages, Images
from dlkd_core.training_spec import TrainingSpec

# Random number streams. The batches use streams 1 and 2.
_SUBSAMPLE_STREAM, _NOISE_STREAM = 3, 4


def apply_label_options(dataset: ImageDataset, training: TrainingSpec) -> ImageDataset:
    """Apply the label fraction of a training spec, then its label noise, to the training split."""
    train = dataset.train
    if training.label_share is not None:
        train = subsample_labels(train, training.label_share, training.seed)
    if training.label_noise is not None:
        train = add_label_noise(train, training.label_noise, training.seed)
    return replace(dataset, train=train)


def subsample_labels(split: DatasetSplit, fraction: float, seed: int) -> DatasetSplit:
    """Return a random fraction of each class's images, at least one per class.

    The other images are dropped. This is the few-shot setting of Ding et al., except that they draw
    images regardless of class (https://github.com/ifding/DLKD, dataset/cifar.py).
    """
    labels, generator = split.labels.cpu(), seeded_generator(seed, _SUBSAMPLE_STREAM)
    parts = []
    for label in sorted(set(labels.tolist())):
        rows = (labels == label).nonzero().flatten()
        count = max(1, round(len(rows) * fraction))
        parts.append(rows[torch.randperm(len(rows), generator=generator)[:count]])
    kept = torch.cat(parts).sort().values
    return DatasetSplit(_select_images(split.images, kept), split.labels[kept])


def add_label_noise(split: DatasetSplit, fraction: float, seed: int) -> DatasetSplit:
    """Permute the labels of a random fraction of the images.

    Ding et al. (https://github.com/ifding/DLKD, dataset/cifar.py) permute the labels of the first
    images in the file instead. If there are n classes of equal size, about one in n of the selected
    images keeps its label by chance.
    """
    generator = seeded_generator(seed, _NOISE_STREAM)
    chosen = torch.randperm(len(split), generator=generator)[: round(len(split) * fraction)]
    labels = split.labels.clone()
    labels[chosen] = split.labels[chosen[torch.randperm(len(chosen), generator=generator)]]
    return replace(split, labels=labels)


def _select_images(images: Images, rows: Tensor) -> Images:
    """Return the images in the given rows. Images on disk stay on disk."""
    if not isinstance(images, HostImages):
        return images[rows.to(images.device)]
    indices = rows.numpy()
    return replace(images, rows=indices if images.rows is None else images.rows[indices])
