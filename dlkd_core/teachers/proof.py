"""A teacher must prove itself: before training it is run on the evaluation split, under the normalisation that fits."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from dlkd_core.data.host_images import in_chunks
from dlkd_core.data.packed import Packed, Split
from dlkd_core.errors import ClassesDoNotFit, TeacherAtChance
from dlkd_core.evaluation import Scores, logits_of
from dlkd_core.evaluation.accuracy import score_logits
from dlkd_core.spec import Normalization

_TRIAL_IMAGES = 512
_SIGMAS = 3  # above chance, in standard deviations of a guessing network's accuracy
_VALUES = 256  # of a byte
_REORDERED = 0.5  # share of images that a re-ordering of classes must explain before it is suggested

# Where the common training recipes put them.
USUAL: dict[str, Normalization] = {
    "imagenet": Normalization(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    "cifar10": Normalization(mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616)),
    "cifar100": Normalization(mean=(0.5071, 0.4867, 0.4408), std=(0.2675, 0.2565, 0.2761)),
    "half": Normalization(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
    "none": Normalization(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
}

Logits = Callable[[Normalization], Callable[[Tensor], Tensor]]  # a normalisation -> images to logits of the teacher's own classes


@dataclass(frozen=True)
class Proof:
    """What the teacher shows on the evaluation split."""

    normalization: Normalization
    logits: Tensor  # over the data set's classes, (N, classes) on the CPU
    scores: Scores | None  # None: the images have no labels
    tried: dict[str, float]  # top-1 by name of normalisation, on the trial images; confidence where they have no labels
    knn_top1: float | None = None  # by nearest neighbours, of a teacher without a classifier: then its logits are (N, 0)


def prove(
    logits: Logits,
    data: Packed,
    given: Normalization | None,
    class_map: tuple[int, ...] | None,
    own: Normalization | None = None,
) -> Proof:
    """Accuracy on the val split, under the `given` normalisation or the likeliest of the weights' `own`, the usual, the data's.

    Raises:
        ClassesDoNotFit: the teacher has other classes than the data set and no class_map, or the map does not fit.
        TeacherAtChance: no better than guessing; the message holds what was tried.
    """
    split, candidates = data.val, normalizations(given, data, own)
    trial = trial_of(split)
    seen = {name: logits_of(logits(choice), trial.images) for name, choice in candidates.items()}
    ours = {name: mapped(value, data.classes, class_map) for name, value in seen.items()}
    tried = {name: score_logits(value, trial.labels.cpu()).top1 for name, value in ours.items()}
    losses = {name: cross_entropy(value.double(), trial.labels.cpu(), reduction="none") for name, value in ours.items()}
    chosen = candidates[least(losses)]
    shown = mapped(logits_of(logits(chosen), split.images), data.classes, class_map)
    result = score_logits(shown, split.labels.cpu())
    if at_most_chance(result.top1, len(data.classes), len(split)):
        hint = _reordering(seen.values(), trial.labels.cpu(), data.classes)
        raise TeacherAtChance(_at_chance(result, data.classes, tried), hint=hint)
    return Proof(chosen, shown, result, tried)


def normalizations(given: Normalization | None, data: Packed, own: Normalization | None = None) -> dict[str, Normalization]:
    """Those to try, by name: the one that was given, or the weights' `own`, the usual ones and the data's."""
    if given:
        return {"given": given}
    return {**({"weights": own} if own else {}), **USUAL, "data": statistics(data.train)}


def least(losses: dict[str, Tensor]) -> str:
    """The first of the names that is not clearly worse than the best: a few images' luck must not decide between near ones."""
    best = min(losses.values(), key=lambda loss: loss.mean().item())
    return next(name for name, loss in losses.items() if not _clearly_worse(loss, best))


def _clearly_worse(losses: Tensor, best: Tensor) -> bool:
    """Whether the mean difference of the same images' losses is more than two of its standard errors."""
    difference = losses - best
    return bool(difference.mean() > 2 * difference.std() / sqrt(len(difference)))


def mapped(logits: Tensor, classes: tuple[str, ...], class_map: tuple[int, ...] | None) -> Tensor:
    """The teacher's logits (N, its classes) as logits of the data set's classes (N, classes)."""
    known = logits.shape[1]
    if class_map is None:
        if known != len(classes):
            raise ClassesDoNotFit(
                f"The teacher has {known} classes and the data set {len(classes)}.", pointer="/teacher/class_map"
            )
        return logits
    if len(class_map) != len(classes) or max(class_map) >= known:
        raise ClassesDoNotFit(
            f"class_map must hold {len(classes)} indices below {known}; it holds {len(class_map)}, the largest {max(class_map)}.",
            pointer="/teacher/class_map",
        )
    return logits[:, list(class_map)]


def statistics(split: Split) -> Normalization:
    """Mean and standard deviation per channel of a split's images in [0, 1].

    From counts of the 256 values: exact however large the split is, and whatever it is looked at in.
    """
    counts = torch.zeros(3, _VALUES, dtype=torch.float64)
    for some in in_chunks(split.images):
        for channel, values in enumerate(some.unbind(dim=1)):
            counts[channel] += torch.bincount(values.flatten(), minlength=_VALUES).cpu()
    values, total = torch.arange(_VALUES, dtype=torch.float64) / 255, counts.sum(dim=1)
    mean = counts @ values / total
    variance = (counts * (values - mean[:, None]).square()).sum(dim=1) / (total - 1)
    return Normalization(mean=tuple(mean.tolist()), std=tuple(variance.sqrt().clamp_min(1e-3).tolist()))


def trial_of(split: Split) -> Split:
    """Some of its images, always the same."""
    rows = torch.randperm(len(split), generator=torch.Generator().manual_seed(0))[:_TRIAL_IMAGES].to(split.labels.device)
    return Split(split.images[rows], split.labels[rows])


def at_most_chance(top1: float, classes: int, images: int) -> bool:
    """Whether a network that guesses would be as good, by luck."""
    chance = 1 / classes
    return top1 <= chance + _SIGMAS * sqrt(chance * (1 - chance) / images)


def _at_chance(result: Scores, classes: tuple[str, ...], tried: dict[str, float]) -> str:
    found = ", ".join(f"{name} {top1:.1%}" for name, top1 in tried.items())
    return (
        f"The teacher gets {result.top1:.1%} of {result.images} images right, where guessing among {len(classes)} classes gets "
        f"{1 / len(classes):.1%}. Normalizations tried: {found}."
    )


def _reordering(seen: Iterable[Tensor], labels: Tensor, classes: tuple[str, ...]) -> str | None:
    """A class_map that would explain what the teacher says under one of the normalisations, where there is one."""
    found = (_best_order(logits, labels, len(classes)) for logits in seen)
    orders = [(explained, order) for explained, order in found if len(set(order)) == len(order)]  # one answer explains all, too
    explained, order = max(orders, default=(0.0, []))
    if explained < _REORDERED:
        return None
    return f"Its classes seem to be in another order: class_map {order} would give {explained:.1%}."


def _best_order(logits: Tensor, labels: Tensor, classes: int) -> tuple[float, list[int]]:
    """The teacher's class that each class of the data set is taken for most often, and the share of images that fit it."""
    votes = torch.zeros(classes, logits.shape[1], dtype=torch.int64)
    votes.index_put_((labels, logits.argmax(dim=1)), torch.ones(1, dtype=torch.int64), accumulate=True)
    best = votes.max(dim=1)
    return best.values.sum().item() / len(labels), best.indices.tolist()
