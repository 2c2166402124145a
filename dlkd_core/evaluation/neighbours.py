"""What features are worth where no classifier has been trained on them: val images, classified by training images."""

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor

from dlkd_core.data.packed import Packed, Split
from dlkd_core.evaluation.accuracy import Forward, logits_of
from dlkd_core.evaluation.knn import knn_votes
from dlkd_core.evaluation.measure import OF_LABELS
from dlkd_core.outputs import Outputs

_BANK, _BANK_BYTES = 20_000, 2**30  # images that are compared with: so many, or so much of them


def known_and_asked(data: Packed) -> tuple[Split, Split]:
    """The images to compare with and those to classify: train and val, or halves of val where the others have no labels."""
    if data.train.labelled:
        return data.train, data.val
    rows = torch.randperm(len(data.val), generator=torch.Generator().manual_seed(0))
    return _rows(data.val, rows[::2]), _rows(data.val, rows[1::2])


def votes_of(features: Forward, bank: Split, asked: Split, classes: int) -> Tensor:
    """The neighbours' votes, (N, classes) on the CPU; of a large bank some images, always the same."""
    most = min(_BANK, max(1, _BANK_BYTES // prod(bank.images.shape[1:])))
    some = (
        bank if len(bank) <= most else _rows(bank, torch.randperm(len(bank), generator=torch.Generator().manual_seed(0))[:most])
    )
    return knn_votes(logits_of(features, some.images), some.labels.cpu(), logits_of(features, asked.images), classes=classes)


def features_top1(network: Callable[[Tensor], Outputs], data: Packed) -> float | None:
    """Top-1 of a network's features by weighted k-NN, in [0, 1]; None where the val images have no labels."""
    if not data.val.labelled:
        return None
    bank, asked = known_and_asked(data)
    return share_right(votes_of(lambda images: network(images).features, bank, asked, len(data.classes)), asked.labels)


def share_right(votes: Tensor, labels: Tensor) -> float:
    """Share of rows of votes (N, classes) that go to the right class."""
    return (votes.argmax(dim=1) == labels.cpu()).double().mean().item()


def worth(knn_top1: float | None, images: int) -> dict[str, Any]:
    """As `quality`, for a network without a trained classifier: what depends on one is None."""
    return {**dict.fromkeys(OF_LABELS), "images": images, "knn_top1": knn_top1}


def _rows(split: Split, rows: Tensor) -> Split:
    rows = rows.to(split.labels.device)
    return Split(split.images[rows], split.labels[rows])
