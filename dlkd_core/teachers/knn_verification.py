"""Verification of teachers without a classifier, by k-NN classification with their features."""

from collections.abc import Callable

import torch

from dlkd_core.data.dataset import ImageDataset
from dlkd_core.errors import TeacherAtChance
from dlkd_core.evaluation.accuracy import LogitsFn
from dlkd_core.evaluation.knn_quality import compute_knn_votes, compute_top1, split_bank_and_queries
from dlkd_core.spec import Normalization
from dlkd_core.teachers.normalization import candidate_normalizations, choose_best, sample_split
from dlkd_core.teachers.verification import (
    Verification,
    class_count_unknown_error,
    describe_chance,
    is_at_chance,
)

_MIN_VOTE = 1e-6  # keeps the loss finite for an image whose class got no vote

# Takes a normalization and returns a function that maps images to features (N, width).
FeaturesFactory = Callable[[Normalization], LogitsFn]


def verify_by_neighbors(
    features: FeaturesFactory,
    data: ImageDataset,
    requested: Normalization | None,
    pretrained: Normalization | None = None,
) -> Verification:
    """Verify the teacher by classifying val images with weighted k-NN among the training images.

    The normalization is chosen as in `verify`. If the training images have no labels, half of the
    val images are used in their place.

    Raises:
        ClassesDoNotFit: The val images have no labels and the teacher has no classifier, so the
            number of classes is unknown.
        TeacherAtChance: The features are no better than guessing. The message lists the
            normalizations that were tried.
    """
    if not data.val.is_labeled:
        raise class_count_unknown_error()
    candidates = candidate_normalizations(requested, data, pretrained)
    bank, queries = split_bank_and_queries(data)
    sample_bank, sample_queries = sample_split(bank), sample_split(queries)
    num_classes = len(data.classes)
    votes = {
        name: compute_knn_votes(features(choice), sample_bank, sample_queries, num_classes)
        for name, choice in candidates.items()
    }
    sample_labels = sample_queries.labels.cpu()
    sample_top1 = {name: compute_top1(vote, sample_labels) for name, vote in votes.items()}
    losses = {
        name: -vote.double().gather(1, sample_labels[:, None]).squeeze(1).clamp_min(_MIN_VOTE).log()
        for name, vote in votes.items()
    }
    name = choose_best(losses)
    chosen = candidates[name]
    all_votes = compute_knn_votes(features(chosen), bank, queries, num_classes)
    top1 = compute_top1(all_votes, queries.labels)
    if is_at_chance(top1, num_classes, len(queries), len(candidates)):
        raise TeacherAtChance(
            f"The nearest neighbors in the teacher's feature space classify {top1:.1%} of "
            f"{len(queries)} images correctly. {describe_chance(num_classes, sample_top1)}",
            hint="Check teacher.normalization, and make sure that the checkpoint contains a "
            "trained network.",
        )
    return Verification(
        chosen,
        torch.empty(len(data.val), 0),
        None,
        sample_top1,
        knn_top1=top1,
        sample_losses=losses[name],
    )
