"""Compatibility checks of the spec, the images and the teacher, made before training."""

from dlkd_core.catalog import Method, find_architecture
from dlkd_core.data.dataset import ImageDataset
from dlkd_core.errors import LogitsNeeded, SpecError
from dlkd_core.spec import DistillationSpec, StudentSpec
from dlkd_core.teachers.loading import LoadedTeacher

_UNLABELED_HINT = (
    "Without labels, use seed or compress, set the labels weight of a method such as kd or dlkd to"
    " 0, or use combine without the terms labels, supcon, dkd, nkd, ofa and crd."
)


def check_dataset(spec: DistillationSpec, data: ImageDataset) -> None:
    """Check that the dataset is suitable for the method and the student.

    Raises:
        SpecError: The method or the baseline needs labels and the images have none, or the student
            does not accept images of this size.
    """
    _check_labels(spec, data)
    _check_baseline(spec, data)
    _check_size(spec.student, data.image_size)


def _check_labels(spec: DistillationSpec, data: ImageDataset) -> None:
    terms = spec.method.terms_needing_labels()
    if terms and not data.train.is_labeled:
        raise SpecError(
            f"The method {spec.method.name} learns from labels ({', '.join(terms)}), but the"
            " training images have none.",
            hint=_UNLABELED_HINT,
            pointer="/method",
        )


def _check_baseline(spec: DistillationSpec, data: ImageDataset) -> None:
    if spec.baseline and not (data.train.is_labeled and data.val.is_labeled):
        raise SpecError(
            "The baseline is trained and evaluated on labels, but the images have none.",
            hint="Set baseline to false, or provide labeled training and evaluation images.",
            pointer="/baseline",
        )


def _check_size(student: StudentSpec, size: tuple[int, int]) -> None:
    architecture = find_architecture(student.architecture)
    mismatch = architecture.describe_size_mismatch(student.options, size)
    if mismatch:
        raise SpecError(
            f"{mismatch}.",
            hint="Set dataset.image_size, or use another architecture.",
            pointer="/student/architecture",
        )


def check_teacher(method: Method, teacher: LoadedTeacher) -> None:
    """Check that the teacher has the outputs from which the method learns.

    Raises:
        LogitsNeeded: The method learns from logits and the teacher has no classifier.
    """
    terms = method.terms_needing_logits()
    if terms and not teacher.num_classes:
        raise LogitsNeeded(
            f"The method {method.name} learns from the teacher's logits ({', '.join(terms)}), but"
            " this teacher has no classifier.",
            pointer="/method",
        )
