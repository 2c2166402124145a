"""Verification of a teacher on unlabeled images: its answers must be finite and must vary."""

from math import log

import torch
from torch import Tensor

from dlkd_core.data.dataset import ImageDataset
from dlkd_core.errors import ClassesDoNotFit, TeacherAtChance
from dlkd_core.evaluation import predict
from dlkd_core.spec import Normalization, RequestedClassMap
from dlkd_core.teachers.normalization import candidate_normalizations, choose_best, sample_split
from dlkd_core.teachers.verification import (
    LogitsFactory,
    Verification,
    class_count_unknown_error,
    map_logits,
)


def verify_unlabeled(
    logits: LogitsFactory,
    data: ImageDataset,
    requested: Normalization | None,
    class_map: RequestedClassMap,
    pretrained: Normalization | None = None,
) -> Verification:
    """Check the teacher on an evaluation split without labels.

    The teacher's own classes, or those that `class_map` selects, become the dataset's classes.

    The normalization is the requested one, if there is one. Otherwise, it is the first candidate
    for which the answers are not clearly less informative than for the best candidate. This works
    because a network gives confident but varied answers if the images are normalized as they were
    during its training.

    Raises:
        ClassesDoNotFit: The teacher has no classifier, so the number of classes is unknown, or
            `class_map` is "auto".
        TeacherAtChance: The answers are not finite, or are the same class for every image.
    """
    if isinstance(class_map, str):
        raise ClassesDoNotFit(
            "The order of the teacher's classes cannot be found, because the evaluation images have"
            " no labels.",
            hint="Set class_map to class indices, or omit it.",
            pointer="/teacher/class_map",
        )
    candidates = candidate_normalizations(requested, data, pretrained)
    sample = sample_split(data.val)
    sample_logits = {
        name: _check_finite(predict(logits(choice), sample.images))
        for name, choice in candidates.items()
    }
    losses = {
        name: _uninformativeness(value.double().log_softmax(dim=1))
        for name, value in sample_logits.items()
    }
    name = choose_best(losses)
    chosen = candidates[name]
    own_logits = _check_finite(predict(logits(chosen), data.val.images))
    classes = default_class_names(len(class_map) if class_map else own_logits.shape[1])
    val_logits = map_logits(own_logits, classes, class_map)
    if (val_logits.argmax(dim=1) == val_logits[0].argmax()).all():
        raise TeacherAtChance(
            f"The teacher predicts class {int(val_logits[0].argmax())} for each of the "
            f"{len(val_logits)} evaluation images, so a student cannot learn from it."
        )
    confidence = {
        name: value.double().softmax(dim=1).amax(dim=1).mean().item()
        for name, value in sample_logits.items()
    }
    return Verification(
        chosen, val_logits, None, confidence, class_map=class_map, sample_losses=losses[name]
    )


def default_class_names(count: int) -> tuple[str, ...]:
    """Return placeholder names for classes that have none."""
    return tuple(f"class_{number}" for number in range(count))


def _uninformativeness(log_probabilities: Tensor) -> Tensor:
    """Return the negative KL divergence of each answer from the mean answer, (N,), in nats.

    Takes log-probabilities (N, classes). The mean of the result is the negative mutual information
    between image and answer, as in Bridle et al. 1991, "Unsupervised classifiers".
    """
    mean = log_probabilities.logsumexp(dim=0) - log(len(log_probabilities))
    return (log_probabilities.exp() * (mean - log_probabilities)).sum(dim=1)


def _check_finite(logits: Tensor) -> Tensor:
    if not logits.shape[1]:
        raise class_count_unknown_error()
    if not torch.isfinite(logits).all():
        raise TeacherAtChance(
            "The teacher's logits are not finite numbers.",
            hint="Check the checkpoint and teacher.normalization.",
        )
    return logits
