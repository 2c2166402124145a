"""Classification metrics: confusion matrix, accuracy per class, calibration and agreement."""

import torch
from torch import Tensor

_BINS = 15


def confusion_matrix(logits: Tensor, labels: Tensor) -> Tensor:
    """Count the images by true class (row) and predicted class (column).

    Returns:
        int64 tensor (classes, classes).
    """
    classes = logits.shape[1]
    return torch.bincount(labels * classes + logits.argmax(dim=1), minlength=classes**2).reshape(
        classes, classes
    )


def per_class_accuracy(logits: Tensor, labels: Tensor) -> list[float | None]:
    """Return each class's accuracy in [0, 1], or None for a class without images."""
    matrix = confusion_matrix(logits, labels)
    totals = matrix.sum(dim=1).tolist()
    return [
        correct / total if total else None
        for correct, total in zip(matrix.diagonal().tolist(), totals, strict=True)
    ]


def expected_calibration_error(logits: Tensor, labels: Tensor) -> float:
    """Return the expected calibration error, computed with 15 confidence bins of equal width.

    Source: Guo et al. 2017, https://arxiv.org/abs/1706.04599, eq. 3.
    """
    confidence, prediction = logits.double().softmax(dim=1).max(dim=1)
    # As published, each bin includes its upper end.
    bins = (confidence * _BINS).ceil().long().clamp(1, _BINS) - 1
    gap = torch.zeros(_BINS, dtype=torch.float64).index_add_(
        0, bins, (prediction == labels).double() - confidence
    )
    return (gap.abs().sum() / len(labels)).item()


def top1_agreement(logits: Tensor, others: Tensor) -> float:
    """Return the share of images with the same top-1 class in two sets of logits (N, classes)."""
    return (logits.argmax(dim=1) == others.argmax(dim=1)).double().mean().item()
