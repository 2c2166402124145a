"""Verification of a teacher before training, by its accuracy on the evaluation split."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import log, log1p

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from dlkd_core.data.dataset import ImageDataset
from dlkd_core.errors import ClassesDoNotFit, TeacherAtChance
from dlkd_core.evaluation import Scores, predict
from dlkd_core.evaluation.accuracy import LogitsFn, score_logits
from dlkd_core.evaluation.pixel_knn import measure_pixel_knn_top1
from dlkd_core.spec import Normalization
from dlkd_core.teachers.normalization import candidate_normalizations, choose_best, sample_split

# Largest acceptable probability that guessing passes: one tail of a normal distribution beyond
# three standard deviations
_CHANCE_PROBABILITY = 0.00135
# A teacher that gets a smaller fraction of the accuracy of k-NN on raw pixels causes a warning.
_MIN_SHARE_OF_PIXEL_KNN = 0.5
# A class order is suggested if it explains at least this share of the images.
_MIN_EXPLAINED = 0.5

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
    """

    normalization: Normalization
    logits: Tensor
    scores: Scores | None
    normalization_scores: dict[str, float]
    knn_top1: float | None = None
    pixel_knn_top1: float | None = None
    warnings: tuple[str, ...] = ()


def verify(
    logits: LogitsFactory,
    data: ImageDataset,
    requested: Normalization | None,
    class_map: tuple[int, ...] | None,
    pretrained: Normalization | None = None,
) -> Verification:
    """Measure the teacher's accuracy on the val split with the best normalization.

    If `requested` is given, only this normalization is used. Otherwise, the candidates are the
    normalization of the pretrained weights, the common normalizations and the dataset's statistics.

    Raises:
        ClassesDoNotFit: The teacher's number of classes differs from the dataset's and there is no
            class_map, or the class_map does not match.
        TeacherAtChance: The teacher is no better than guessing. The message lists the
            normalizations that were tried.
    """
    split, candidates = data.val, candidate_normalizations(requested, data, pretrained)
    sample = sample_split(split)
    sample_labels = sample.labels.cpu()
    own_logits = {
        name: predict(logits(choice), sample.images) for name, choice in candidates.items()
    }
    mapped_logits = {
        name: map_logits(value, data.classes, class_map) for name, value in own_logits.items()
    }
    top1 = {name: score_logits(value, sample_labels).top1 for name, value in mapped_logits.items()}
    losses = {
        name: cross_entropy(value.double(), sample_labels, reduction="none")
        for name, value in mapped_logits.items()
    }
    chosen = candidates[choose_best(losses)]
    val_logits = map_logits(predict(logits(chosen), split.images), data.classes, class_map)
    scores = score_logits(val_logits, split.labels.cpu())
    if is_at_chance(scores.top1, len(data.classes), len(split), len(candidates)):
        hint = _suggest_class_map(own_logits.values(), sample_labels, data.classes)
        message = (
            f"The teacher classifies {scores.top1:.1%} of {scores.images} images correctly. "
            f"{describe_chance(len(data.classes), top1)}"
        )
        raise TeacherAtChance(message, hint=hint)
    return Verification(chosen, val_logits, scores, top1)


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


def _suggest_class_map(
    candidate_logits: Iterable[Tensor], labels: Tensor, classes: tuple[str, ...]
) -> str | None:
    """Return a hint with a class_map that explains the teacher's answers, or None if none does."""
    orders = [_find_class_order(logits, labels, len(classes)) for logits in candidate_logits]
    # Repeated classes are excluded: a teacher with a constant answer would "explain" every image.
    permutations = [
        (explained, order) for explained, order in orders if len(set(order)) == len(order)
    ]
    explained, order = max(permutations, default=(0.0, []))
    if explained < _MIN_EXPLAINED:
        return None
    return (
        "The teacher's classes seem to be in another order. "
        f"class_map {order} would give {explained:.1%}."
    )


def _find_class_order(logits: Tensor, labels: Tensor, classes: int) -> tuple[float, list[int]]:
    """Find the class order that best explains the teacher's answers.

    Returns the share of images that the order explains, and the order. The order lists the
    teacher's most frequent answer for each class of the dataset. An image is explained if the
    teacher gives the answer that is listed for its class.
    """
    votes = torch.zeros(classes, logits.shape[1], dtype=torch.int64)
    votes.index_put_(
        (labels, logits.argmax(dim=1)), torch.ones(1, dtype=torch.int64), accumulate=True
    )
    best = votes.max(dim=1)
    return best.values.sum().item() / len(labels), best.indices.tolist()
