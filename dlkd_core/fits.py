"""Whether a spec and its images go together, before anything is trained."""

from dlkd_core.catalog import Method, find_architecture
from dlkd_core.data.packed import Packed
from dlkd_core.errors import LogitsNeeded, SpecError
from dlkd_core.spec import DistillationSpec, StudentSpec
from dlkd_core.teachers.load import LoadedTeacher

_WITHOUT_LABELS = (
    "Without labels: kd, dlkd and the others with their labels at weight 0; seed and compress; combine without the terms "
    "labels, supcon, dkd and crd."
)


def check(spec: DistillationSpec, data: Packed) -> None:
    """Compares the spec with the data set.

    Raises:
        SpecError: a method that learns from labels on images without them, or a network for images of another size.
    """
    _check_labels(spec, data)
    _check_size(spec.student, data.size)


def _check_labels(spec: DistillationSpec, data: Packed) -> None:
    terms = spec.method.labelled()
    if terms and not data.train.labelled:
        raise SpecError(
            f"The method {spec.method.name} learns from labels ({', '.join(terms)}), and the training images have none.",
            hint=_WITHOUT_LABELS,
            pointer="/method",
        )


def _check_size(student: StudentSpec, size: tuple[int, int]) -> None:
    wrong = find_architecture(student.architecture).misfit(student.options, size)
    if wrong:
        hint = "Set dataset.image_size, or name another architecture."
        raise SpecError(f"{wrong}.", hint=hint, pointer="/student/architecture")


def check_lesson(method: Method, teacher: LoadedTeacher) -> None:
    """`LogitsNeeded` where the method learns from logits and the teacher has no classifier."""
    terms = method.of_logits()
    if terms and not teacher.num_classes:
        raise LogitsNeeded(
            f"The method {method.name} learns from the teacher's logits ({', '.join(terms)}); this teacher has no classifier.",
            pointer="/method",
        )
