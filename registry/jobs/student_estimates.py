"""Estimates of a student's size before training, from the catalog's parameter counts."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from dlkd_core.catalog.architectures.parameter_counts import get_parameter_count
from dlkd_core.spec import JobSpec, TeacherRef
from registry.db.input_tables import Dataset, Teacher
from registry.db.model_tables import Model

_WEIGHT_BYTES = 4  # students are exported as float32


@dataclass(frozen=True)
class StudentEstimate:
    """Estimated size of a student, and its ratio to the teacher's size.

    If `exact` is False, the estimate does not include the classifier.
    """

    parameters: int
    weight_bytes: int
    exact: bool
    teacher_parameters: int | None
    compression: float | None  # the teacher's parameters divided by the student's


def estimate_student(session: Session, spec: JobSpec) -> StudentEstimate | None:
    """Return the student's estimated size.

    Returns None if the dataset's classes are not known yet, or if the catalog has no parameter
    count for the student's options.
    """
    dataset = session.get(Dataset, spec.dataset.id)
    if not (dataset and dataset.classes):
        return None
    class_count = len(dataset.classes)
    student = spec.student
    count = get_parameter_count(student.architecture, student.options, class_count)
    if count is None:
        return None
    teacher = _count_teacher_parameters(session, spec.teacher, class_count)
    return StudentEstimate(
        parameters=count.total,
        weight_bytes=count.total * _WEIGHT_BYTES,
        exact=count.exact,
        teacher_parameters=teacher,
        compression=teacher / count.total if teacher else None,
    )


def _count_teacher_parameters(
    session: Session, teacher: TeacherRef | None, class_count: int
) -> int | None:
    if teacher is None:
        return None
    if teacher.pretrained is not None:
        count = get_parameter_count(teacher.pretrained, {}, class_count)
        return None if count is None else count.total
    row = session.get(Teacher, teacher.id) if teacher.id else session.get(Model, teacher.model_id)
    return None if row is None else row.parameters
