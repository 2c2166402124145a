"""The order of a teacher's classes, found by the best one-to-one assignment to the dataset's."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_FOLDS = 2


@dataclass(frozen=True)
class ClassOrder:
    """An assignment of teacher classes to the classes of the dataset.

    Attributes:
        class_map: The teacher's class index for each class of the dataset.
        hits: Whether each image is classified correctly under an assignment that was found on other
            images, (N,) bool. Its mean is therefore not too optimistic.
    """

    class_map: tuple[int, ...]
    hits: Tensor

    @property
    def top1(self) -> float:
        """Accuracy on images that the assignment was not found on."""
        return self.hits.double().mean().item()


def find_class_order(logits: Tensor, labels: Tensor, classes: int) -> ClassOrder | None:
    """Find the assignment under which the teacher classifies most images correctly.

    Args:
        logits: Logits over the teacher's classes, (N, teacher classes).
        labels: Labels, (N,).
        classes: Number of classes of the dataset.

    Returns:
        The assignment, or None if the teacher has fewer classes than the dataset.
    """
    if logits.shape[1] < classes:
        return None
    answers = logits.argmax(dim=1)
    # Alternate images of each class go to each fold, so that all folds know all classes.
    folds = torch.empty_like(labels)
    folds[labels.argsort(stable=True)] = torch.arange(len(labels)) % _FOLDS
    hits = torch.zeros(len(labels), dtype=torch.bool)
    for fold in range(_FOLDS):
        inside = folds == fold
        found = _assign(answers[~inside], labels[~inside], classes, logits.shape[1])
        hits[inside] = answers[inside] == found[labels[inside]]
    class_map = _assign(answers, labels, classes, logits.shape[1])
    return ClassOrder(tuple(class_map.tolist()), hits)


def match_class_names(own: Sequence[str], classes: Sequence[str]) -> tuple[int, ...] | None:
    """Return the teacher's class index for each class of the dataset, found by the classes' names.

    Case, and the difference between spaces, hyphens and underscores, do not count.

    Args:
        own: Names of the teacher's classes.
        classes: Names of the dataset's classes.

    Returns:
        The indices, or None if a class is missing or a name is not unique.
    """
    positions = {_comparable(name): index for index, name in enumerate(own)}
    wanted = [_comparable(name) for name in classes]
    is_clear = len(positions) == len(own) and len(set(wanted)) == len(wanted)
    if not wanted or not is_clear or not positions.keys() >= set(wanted):
        return None
    return tuple(positions[name] for name in wanted)


def _comparable(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())


def _assign(answers: Tensor, labels: Tensor, classes: int, own_classes: int) -> Tensor:
    """Return the teacher class of each class, (classes,), that maximizes the number of hits."""
    from scipy.optimize import linear_sum_assignment  # SciPy takes half a second to import

    counts = torch.zeros(classes, own_classes, dtype=torch.int64)
    counts.index_put_((labels, answers), torch.ones((), dtype=torch.int64), accumulate=True)
    _, columns = linear_sum_assignment(counts.numpy(), maximize=True)
    return torch.from_numpy(columns)
