"""What lies behind the accuracy: which classes are taken for which, and how far the confidence can be believed."""

import torch
from torch import Tensor

_BINS = 15


def confusion(logits: Tensor, labels: Tensor) -> Tensor:
    """(classes, classes) int64: how many images of each class (row) were taken for each class (column)."""
    classes = logits.shape[1]
    return torch.bincount(labels * classes + logits.argmax(dim=1), minlength=classes**2).reshape(classes, classes)


def per_class(logits: Tensor, labels: Tensor) -> list[float | None]:
    """Accuracy within each class, in [0, 1]; None for a class without images."""
    matrix = confusion(logits, labels)
    totals = matrix.sum(dim=1).tolist()
    return [right / total if total else None for right, total in zip(matrix.diagonal().tolist(), totals, strict=True)]


def calibration_error(logits: Tensor, labels: Tensor) -> float:
    """Expected calibration error over 15 equal bins of confidence (Guo et al. 2017, https://arxiv.org/abs/1706.04599, eq. 3)."""
    confidence, guess = logits.double().softmax(dim=1).max(dim=1)
    bins = (confidence * _BINS).ceil().long().clamp(1, _BINS) - 1  # as published: upper ends belong to their bin
    gap = torch.zeros(_BINS, dtype=torch.float64).index_add_(0, bins, (guess == labels).double() - confidence)
    return (gap.abs().sum() / len(labels)).item()


def agreement(logits: Tensor, others: Tensor) -> float:
    """Share of images of which two networks think the same, in [0, 1]; both (N, classes)."""
    return (logits.argmax(dim=1) == others.argmax(dim=1)).double().mean().item()
