"""Confident learning: images whose label is probably wrong, according to a classifier.

Northcutt et al. 2021, https://arxiv.org/abs/1911.00068, section 3. cleanlab, the authors' library,
also needs scikit-learn and pandas. This part of the method takes a few lines.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class LabelError:
    """An image whose label is probably wrong.

    Attributes:
        index: Row of the image.
        label: Its label.
        confidence: Probability of the label.
        suggested_label: The most likely class among those that the classifier is confident of.
        suggested_confidence: Probability of this class.
    """

    index: int
    label: int
    confidence: float
    suggested_label: int
    suggested_confidence: float


def find_label_errors(logits: Tensor, labels: Tensor) -> list[LabelError]:
    """Return the images that are probably mislabeled, the least likely labels first.

    The threshold of a class is the mean probability of the class among the images that have it as
    their label (eq. 2). A label is probably wrong if its probability is below the threshold of its
    class and the probability of another class reaches the threshold of that class. Such images are
    the off-diagonal entries of the confident joint (eq. 1).

    Args:
        logits: Logits of a classifier that was not trained on these images, (N, classes).
        labels: Labels, (N,).
    """
    probabilities = logits.double().softmax(dim=1)  # (N, classes)
    counts = labels.bincount(minlength=logits.shape[1])
    confidence = probabilities.gather(1, labels[:, None])[:, 0]
    # A class without images has the threshold NaN, which no probability reaches.
    thresholds = torch.zeros_like(probabilities[0]).index_add_(0, labels, confidence) / counts
    is_confident = probabilities >= thresholds
    is_wrong = ~is_confident.gather(1, labels[:, None])[:, 0] & is_confident.any(dim=1)
    suggested, suggested_labels = probabilities.where(is_confident, 0).max(dim=1)
    rows = is_wrong.nonzero()[:, 0]
    ranked = rows[confidence[rows].argsort(stable=True)]
    columns = (labels, confidence, suggested_labels, suggested)
    values = (column[ranked].tolist() for column in columns)
    return [LabelError(*row) for row in zip(ranked.tolist(), *values, strict=True)]
