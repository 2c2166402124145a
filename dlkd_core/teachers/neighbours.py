"""The proof of a teacher without a classifier: its features tell the classes apart by their nearest neighbours."""

from collections.abc import Callable

import torch
from torch import Tensor

from dlkd_core.data.packed import Packed
from dlkd_core.errors import ClassesDoNotFit, TeacherAtChance
from dlkd_core.evaluation.accuracy import Forward
from dlkd_core.evaluation.neighbours import known_and_asked, share_right, votes_of
from dlkd_core.spec import Normalization
from dlkd_core.teachers.proof import Proof, at_most_chance, least, normalizations, trial_of

_EPSILON = 1e-6  # of a vote, so that one that went elsewhere has a finite loss

Features = Callable[[Normalization], Forward]  # a normalisation -> images to features (N, width)


def prove_by_neighbours(features: Features, data: Packed, given: Normalization | None, own: Normalization | None = None) -> Proof:
    """Weighted k-NN of val images by training images, under the normalisation that `prove` would take.

    Where the training images have no labels, half of the val images stand in for them.

    Raises:
        ClassesDoNotFit: neither images nor teacher say how many classes there are.
        TeacherAtChance: no better than guessing; the message holds what was tried.
    """
    _check_labels(data)
    candidates, (bank, asked) = normalizations(given, data, own), known_and_asked(data)
    few, trial, count = trial_of(bank), trial_of(asked), len(data.classes)
    votes = {name: votes_of(features(choice), few, trial, count) for name, choice in candidates.items()}
    tried = {name: share_right(vote, trial.labels) for name, vote in votes.items()}
    chosen = candidates[least({name: _losses(vote, trial.labels.cpu()) for name, vote in votes.items()})]
    top1 = share_right(votes_of(features(chosen), bank, asked, count), asked.labels)
    if at_most_chance(top1, count, len(asked)):
        found = ", ".join(f"{name} {value:.1%}" for name, value in tried.items())
        raise TeacherAtChance(
            f"By their nearest neighbours under the teacher's features {top1:.1%} of {len(asked)} images are classified right, "
            f"where guessing among {count} classes gets {1 / count:.1%}. Normalizations tried: {found}.",
            hint="Check teacher.normalization, and that the checkpoint is that of a trained network.",
        )
    return Proof(chosen, torch.empty(len(data.val), 0), None, tried, knn_top1=top1)


def _check_labels(data: Packed) -> None:
    if not data.val.labelled:
        raise ClassesDoNotFit(
            "Neither the images nor the teacher say how many classes there are.",
            hint="Give the evaluation images labels (val/<class>/<image>), or take a teacher with a classifier.",
            pointer="/teacher",
        )


def _losses(votes: Tensor, labels: Tensor) -> Tensor:
    return -votes.double().gather(1, labels[:, None]).squeeze(1).clamp_min(_EPSILON).log()
