"""Verification of a teacher before training, by its accuracy on the evaluation split."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import log, log1p
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from dlkd_core.data.dataset import DatasetSplit, ImageDataset
from dlkd_core.errors import ClassesDoNotFit, TeacherAtChance
from dlkd_core.evaluation import Scores, predict
from dlkd_core.evaluation.accuracy import LogitsFn, score_logits
from dlkd_core.evaluation.pixel_knn import measure_pixel_knn_top1
from dlkd_core.spec import Normalization, RequestedClassMap
from dlkd_core.teachers.class_order import ClassOrder, find_class_order
from dlkd_core.teachers.normalization import candidate_normalizations, choose_best, sample_split
from dlkd_core.teachers.normalization_choice import (
    MismatchFn,
    NormalizationChoice,
    choose_normalization,
    find_published,
    rule_out,
    sample_images,
)

# Largest acceptable probability that guessing passes: one tail of a normal distribution beyond
# three standard deviations
_CHANCE_PROBABILITY = 0.00135
# A teacher that gets a smaller fraction of the accuracy of k-NN on raw pixels causes a warning.
_MIN_SHARE_OF_PIXEL_KNN = 0.5
# A class order is suggested if it explains at least this share of the images.
_MIN_EXPLAINED = 0.5
# A teacher is refused if another order of its classes explains at least this share of the images
# more than the order taken, and this many standard errors more.
_MIN_ORDER_GAIN, _ORDER_STANDARD_ERRORS = 0.2, 3.0

# Takes a normalization and returns a function that maps images to logits over the teacher's
# classes.
LogitsFactory = Callable[[Normalization], LogitsFn]


@dataclass(frozen=True)
class Verification:
    """A teacher's results on the evaluation split.

    Attributes:
        normalization: The chosen input normalization.
        logits: Logits over the dataset's classes, (N, classes) on the CPU. If the teacher has no
            classifier, the shape is (N, 0).
        scores: Scores of the logits, or None if the images have no labels.
        normalization_scores: Score of each normalization on a sample of the images, by name. The
            score is top-1 accuracy, or mean confidence if the images have no labels.
        knn_top1: Top-1 accuracy of k-NN on the features of a teacher without a classifier.
        pixel_knn_top1: Top-1 accuracy of k-NN on the raw pixels, or None if the images have no
            labels.
        warnings: Reasons to doubt that the teacher fits the dataset.
        class_map: The teacher's class index for each class of the dataset, or None if they are the
            same.
        sample_losses: Losses on a sample of the images with the chosen normalization, (N,). They
            are comparable between teachers.
        normalization_reason: Why this normalization was chosen, for the user.
    """

    normalization: Normalization
    logits: Tensor
    scores: Scores | None
    normalization_scores: dict[str, float]
    knn_top1: float | None = None
    pixel_knn_top1: float | None = None
    warnings: tuple[str, ...] = ()
    class_map: tuple[int, ...] | None = None
    sample_losses: Tensor = field(default_factory=lambda: torch.empty(0))
    normalization_reason: str = ""


def verify(
    logits: LogitsFactory,
    data: ImageDataset,
    requested: Normalization | None,
    class_map: RequestedClassMap,
    pretrained: Normalization | None = None,
    *,
    mismatch: MismatchFn | None = None,
) -> Verification:
    """Measure the teacher's accuracy on the val split with the best normalization.

    If `requested` is given, only this normalization is used. Otherwise, the candidates are the
    normalization of the pretrained weights, the common normalizations and the dataset's statistics.
    `mismatch` measures how badly a normalization fits the network's stored statistics.

    Raises:
        ClassesDoNotFit: The teacher's number of classes differs from the dataset's and there is no
            class_map, the class_map does not match, or another order of the classes explains the
            teacher's answers much better.
        TeacherAtChance: The teacher is no better than guessing. The message lists the
            normalizations that were tried.
    """
    split, candidates = data.val, candidate_normalizations(requested, data, pretrained)
    trials = _try_normalizations(logits, sample_split(split), candidates, data.classes, class_map)
    if pretrained or len(candidates) == 1 or not data.train.is_labeled:
        choice = NormalizationChoice(choose_best({n: trial.losses for n, trial in trials.items()}))
    else:
        choice = _choose_by_training_images(logits, data, candidates, trials, mismatch)
    trial = trials[choice.name]
    own_val_logits = predict(logits(candidates[choice.name]), split.images)
    val_logits = map_logits(own_val_logits, data.classes, trial.class_map)
    scores = score_logits(val_logits, split.labels.cpu())
    orders = (trial.order for trial in trials.values() if trial.order)
    best_order = max(orders, key=lambda order: order.top1, default=None)
    top1 = {name: trial.hits.double().mean().item() for name, trial in trials.items()}
    _check_chance(scores, len(data.classes), top1, best_order)
    return Verification(
        candidates[choice.name],
        val_logits,
        scores,
        top1,
        warnings=_compare_class_order(best_order, trial.class_map, trial.hits, class_map),
        class_map=trial.class_map,
        sample_losses=trial.losses,
        normalization_reason=choice.reason,
    )


class _Trial(NamedTuple):
    """A teacher's answers on a sample of the images with one normalization."""

    class_map: tuple[int, ...] | None
    order: ClassOrder | None
    losses: Tensor  # (N,)
    hits: Tensor  # whether each image is classified correctly, (N,)


def _try_normalizations(
    logits: LogitsFactory,
    sample: DatasetSplit,
    candidates: Mapping[str, Normalization],
    classes: tuple[str, ...],
    class_map: RequestedClassMap,
) -> dict[str, _Trial]:
    labels = sample.labels.cpu()
    trials = {}
    for name, candidate in candidates.items():
        own_logits = predict(logits(candidate), sample.images)
        order = find_class_order(own_logits, labels, len(classes))
        taken = _resolve_class_map(class_map, order, classes)
        mapped = map_logits(own_logits, classes, taken)
        losses = cross_entropy(mapped.double(), labels, reduction="none")
        trials[name] = _Trial(taken, order, losses, mapped.argmax(dim=1) == labels)
    return trials


def _choose_by_training_images(
    logits: LogitsFactory,
    data: ImageDataset,
    candidates: Mapping[str, Normalization],
    trials: Mapping[str, _Trial],
    mismatch: MismatchFn | None,
) -> NormalizationChoice:
    """Choose among the normalizations that the evaluation images do not rule out."""
    possible = rule_out({name: trial.losses for name, trial in trials.items()})
    sample = sample_split(data.train)
    labels = sample.labels.cpu()
    if len(possible) == 1:
        return choose_normalization({name: trials[name].losses for name in possible}, lambda _: {})
    losses = {}
    for name in possible:
        own_logits = predict(logits(candidates[name]), sample.images)
        mapped = map_logits(own_logits, data.classes, trials[name].class_map)
        losses[name] = cross_entropy(mapped.double(), labels, reduction="none")

    def measure(names: Sequence[str]) -> Mapping[str, float]:
        images = sample_images(sample.images)
        found = {name: mismatch(candidates[name], images) for name in names} if mismatch else {}
        known = {name: value for name, value in found.items() if value is not None}
        return known or find_published(candidates)

    return choose_normalization(losses, measure)


def _check_chance(
    scores: Scores, classes: int, top1: dict[str, float], order: ClassOrder | None
) -> None:
    """Raise `TeacherAtChance` if guessing could reach the scores.

    `top1` holds the accuracy for each normalization that was tried.
    """
    if is_at_chance(scores.top1, classes, scores.images, len(top1)):
        message = (
            f"The teacher classifies {scores.top1:.1%} of {scores.images} images correctly. "
            f"{describe_chance(classes, top1)}"
        )
        raise TeacherAtChance(message, hint=_suggest_class_map(order))


def _resolve_class_map(
    class_map: RequestedClassMap, order: ClassOrder | None, classes: tuple[str, ...]
) -> tuple[int, ...] | None:
    """Return the requested class map, or that of the order that was found if it is "auto"."""
    if not isinstance(class_map, str):
        return class_map
    if order is None:
        raise ClassesDoNotFit(
            f"The teacher has fewer classes than the dataset, which has {len(classes)}.",
            hint="Use a teacher that knows all classes of the dataset.",
            pointer="/teacher/class_map",
        )
    return order.class_map


def _compare_class_order(
    order: ClassOrder | None,
    taken: tuple[int, ...] | None,
    hits: Tensor,
    requested: RequestedClassMap,
) -> tuple[str, ...]:
    """Return a warning if an order of the teacher's classes is clearly better than the one taken.

    Args:
        order: The best order that was found, if there is one.
        taken: The class map that was used.
        hits: Whether each image is classified correctly with it, (N,) bool.
        requested: The requested class map.

    Raises:
        ClassesDoNotFit: The order is better, and the user has requested none.
    """
    if order is None or order.class_map == (taken or tuple(range(len(order.class_map)))):
        return ()
    gains = order.hits.double() - hits.double()
    standard_error = gains.std().item() / len(gains) ** 0.5
    if gains.mean().item() <= max(_MIN_ORDER_GAIN, _ORDER_STANDARD_ERRORS * standard_error):
        return ()
    found, top1 = list(order.class_map), hits.double().mean().item()
    if requested is None:
        raise ClassesDoNotFit(
            f"The teacher classifies {top1:.1%} of {len(hits)} images correctly, but"
            f" {order.top1:.1%} if its classes are in another order than those of the dataset.",
            hint=f'Set class_map to {found}, or to "auto".',
            pointer="/teacher/class_map",
        )
    warning = (
        f"With class_map {found}, the teacher would classify {order.top1:.1%} of the evaluation"
        f" images correctly. With the class_map of this job, it is {top1:.1%}."
    )
    return (warning,)


def map_logits(
    logits: Tensor, classes: tuple[str, ...], class_map: tuple[int, ...] | None
) -> Tensor:
    """Map the teacher's logits (N, teacher classes) to the dataset's classes, (N, classes)."""
    num_own = logits.shape[1]
    if class_map is None:
        if num_own != len(classes):
            raise ClassesDoNotFit(
                f"The teacher has {num_own} classes, but the dataset has {len(classes)}.",
                pointer="/teacher/class_map",
            )
        return logits
    if len(class_map) != len(classes) or max(class_map) >= num_own:
        raise ClassesDoNotFit(
            f"class_map must hold {len(classes)} indices below {num_own}. "
            f"It holds {len(class_map)}, and the largest is {max(class_map)}.",
            pointer="/teacher/class_map",
        )
    return logits[:, list(class_map)]


def is_at_chance(top1: float, classes: int, images: int, tried: int) -> bool:
    """Return whether random guessing could reach this accuracy by luck.

    The probability is exact. It is compared with a bound that is divided by the number of
    normalizations that were tried (Bonferroni), because the best of several guesses is luckier than
    one.
    """
    if classes < 2:
        return True
    return guess_probability(top1, classes, images) > _CHANCE_PROBABILITY / tried


def guess_probability(top1: float, classes: int, images: int) -> float:
    """Return the probability that random guessing reaches at least this accuracy."""
    count = torch.tensor(images, dtype=torch.float64)
    hits = torch.arange(round(top1 * images), images + 1, dtype=torch.float64)
    log_choices = (count + 1).lgamma() - (hits + 1).lgamma() - (count - hits + 1).lgamma()
    log_hit, log_miss = -log(classes), log1p(-1 / classes)
    return (log_choices + hits * log_hit + (count - hits) * log_miss).logsumexp(dim=0).exp().item()


def compare_with_pixels(verification: Verification, data: ImageDataset) -> Verification:
    """Return the verification with the accuracy of k-NN on raw pixels, and a warning if needed.

    A teacher can be better than guessing and still know nothing about the dataset. Evaluation
    images without labels are not compared.
    """
    top1 = verification.scores.top1 if verification.scores else verification.knn_top1
    if top1 is None:
        return verification
    pixel_knn_top1 = measure_pixel_knn_top1(data)
    warnings = verification.warnings
    if top1 < _MIN_SHARE_OF_PIXEL_KNN * pixel_knn_top1:
        warning = (
            f"The teacher classifies only {top1:.1%} of the evaluation images correctly. Comparing"
            f" raw pixels with those of training images (k-NN) gets {pixel_knn_top1:.1%} without"
            " any training. The teacher probably does not fit this dataset. Check what it was"
            " trained on, its class order (class_map) and its normalization."
        )
        warnings = (*warnings, warning)
    return replace(verification, pixel_knn_top1=pixel_knn_top1, warnings=warnings)


def describe_chance(classes: int, top1: dict[str, float]) -> str:
    """Return the end of the error message: the chance accuracy and the normalizations tried."""
    tried = ", ".join(f"{name} {value:.1%}" for name, value in top1.items())
    return (
        f"Random guessing among {classes} classes gets {1 / classes:.1%}. "
        f"Normalizations tried: {tried}."
    )


def class_count_unknown_error() -> ClassesDoNotFit:
    """Return the error for data without labels and a teacher without a classifier."""
    return ClassesDoNotFit(
        "Neither the images nor the teacher define how many classes there are.",
        hint="Add labels to the evaluation images (val/<class>/<image>), or use a teacher with a "
        "classifier.",
        pointer="/teacher",
    )


def _suggest_class_map(order: ClassOrder | None) -> str | None:
    """Return a hint with a class_map that explains the teacher's answers, or None if none does."""
    if order is None or order.top1 < _MIN_EXPLAINED:
        return None
    return (
        "The teacher's classes seem to be in another order. "
        f"class_map {list(order.class_map)} would give {order.top1:.1%}."
    )
