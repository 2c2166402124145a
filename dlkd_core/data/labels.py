"""Training with few labels, or with wrong ones: what the published comparisons do to a training split. Val is never touched."""

from dataclasses import replace

import torch
from torch import Tensor

from dlkd_core.data.batches import generator_of
from dlkd_core.data.host_images import HostImages, Images
from dlkd_core.data.packed import Packed, Split
from dlkd_core.training_spec import TrainingSpec

_FEW, _NOISY = 3, 4  # streams of random numbers beside those of the batches


def as_asked(data: Packed, training: TrainingSpec) -> Packed:
    """The data set with the share of labels, and then the noise, that a run's training asks for."""
    train = data.train
    if training.label_share is not None:
        train = few(train, training.label_share, training.seed)
    if training.label_noise is not None:
        train = noisy(train, training.label_noise, training.seed)
    return replace(data, train=train)


def few(split: Split, share: float, seed: int) -> Split:
    """That share of each class's images, at least one, drawn from the seed: the rest is not seen at all.

    The few-shot setting of Ding et al., who draw without regard to class (https://github.com/ifding/DLKD, dataset/cifar.py).
    """
    labels, generator = split.labels.cpu(), generator_of(seed, _FEW)
    parts = []
    for label in sorted(set(labels.tolist())):
        rows = (labels == label).nonzero().flatten()
        count = max(1, round(len(rows) * share))
        parts.append(rows[torch.randperm(len(rows), generator=generator)[:count]])
    kept = torch.cat(parts).sort().values
    return Split(_some(split.images, kept), split.labels[kept])


def noisy(split: Split, share: float, seed: int) -> Split:
    """That share of the images, drawn from the seed, with their labels permuted among themselves.

    As in Ding et al. (https://github.com/ifding/DLKD, dataset/cifar.py), where it is the first share of the file. Some keep their
    label by chance, one in as many as there are classes.
    """
    generator = generator_of(seed, _NOISY)
    chosen = torch.randperm(len(split), generator=generator)[: round(len(split) * share)]
    labels = split.labels.clone()
    labels[chosen] = split.labels[chosen[torch.randperm(len(chosen), generator=generator)]]
    return replace(split, labels=labels)


def _some(images: Images, rows: Tensor) -> Images:
    """Those images; what lies on disk stays there."""
    if not isinstance(images, HostImages):
        return images[rows.to(images.device)]
    places = rows.numpy()
    return replace(images, rows=places if images.rows is None else images.rows[places])
