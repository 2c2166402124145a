"""What can be asked of a teacher on images without labels: that its answers are numbers, and not always the same."""

from math import log

import torch
from torch import Tensor

from dlkd_core.data.packed import Packed
from dlkd_core.errors import ClassesDoNotFit, TeacherAtChance
from dlkd_core.evaluation import logits_of
from dlkd_core.spec import Normalization
from dlkd_core.teachers.proof import Logits, Proof, least, mapped, normalizations, trial_of


def observe(
    logits: Logits,
    data: Packed,
    given: Normalization | None,
    class_map: tuple[int, ...] | None,
    own: Normalization | None = None,
) -> Proof:
    """The teacher on an evaluation split without labels; its own classes, or those of `class_map`, are the data set's.

    The normalisation is the given one, or the first of the weights' own and the usual ones under which its answers are not
    clearly less telling than under the best: a network is surest of images that look as its training images did, and not always
    of the same answer.

    Raises:
        ClassesDoNotFit: it has no classes, so that nobody knows how many there are.
        TeacherAtChance: its answers are no finite numbers, or the same class for every image.
    """
    candidates, trial = normalizations(given, data, own), trial_of(data.val)
    seen = {name: _finite(logits_of(logits(choice), trial.images)) for name, choice in candidates.items()}
    chosen = candidates[least({name: _vagueness(value.double().log_softmax(dim=1)) for name, value in seen.items()})]
    whole = _finite(logits_of(logits(chosen), data.val.images))
    shown = mapped(whole, classes_of(len(class_map) if class_map else whole.shape[1]), class_map)
    if (shown.argmax(dim=1) == shown[0].argmax()).all():
        answer = f"class {int(shown[0].argmax())} for each of the {len(shown)} evaluation images"
        raise TeacherAtChance(f"The teacher's answer is {answer}: nothing is to be learnt from it.")
    confidence = {name: value.double().softmax(dim=1).amax(dim=1).mean().item() for name, value in seen.items()}
    return Proof(chosen, shown, None, confidence)


def classes_of(count: int) -> tuple[str, ...]:
    """Names for so many classes that nobody has named."""
    return tuple(f"class_{number}" for number in range(count))


def _vagueness(answers: Tensor) -> Tensor:
    """How little each answer (N, classes), log-probabilities, differs from the mean one: -KL in nats, (N,).

    Its mean is minus the mutual information of image and answer, as of Bridle et al. 1991, "Unsupervised classifiers".
    """
    mean = answers.logsumexp(dim=0) - log(len(answers))
    return (answers.exp() * (mean - answers)).sum(dim=1)


def _finite(logits: Tensor) -> Tensor:
    if not logits.shape[1]:
        raise ClassesDoNotFit(
            "Neither the images nor the teacher say how many classes there are.",
            hint="Give the evaluation images labels (val/<class>/<image>), or take a teacher with a classifier.",
            pointer="/teacher",
        )
    if not torch.isfinite(logits).all():
        raise TeacherAtChance(
            "The teacher's answers are no finite numbers.", hint="Check the checkpoint, and teacher.normalization."
        )
    return logits
