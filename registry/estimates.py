"""What a student will measure, before anything is trained: from the catalog's counts and the rows of its inputs."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from dlkd_core.catalog.sizes import parameters_of
from dlkd_core.spec import JobSpec, TeacherRef
from registry.model_tables import Model
from registry.tables import Dataset, Teacher

_WEIGHT_BYTES = 4  # of float32, in which students are exported


@dataclass(frozen=True)
class Estimate:
    """Of the student, and beside its teacher. Not exact: the classifier is not counted in."""

    parameters: int
    weight_bytes: int
    exact: bool
    teacher_parameters: int | None
    compression: float | None  # the teacher's parameters divided by the student's


def estimate(session: Session, spec: JobSpec) -> Estimate | None:
    """None where the data set's classes are not known yet, or the student's options lead off what was counted."""
    dataset = session.get(Dataset, spec.dataset.id)
    classes = len(dataset.classes) if dataset and dataset.classes else None
    found = parameters_of(spec.student.architecture, spec.student.options, classes) if classes else None
    if found is None or not classes:
        return None
    teacher = _teacher(session, spec.teacher, classes)
    ratio = teacher / found.number if teacher else None
    return Estimate(found.number, found.number * _WEIGHT_BYTES, found.exact, teacher, ratio)


def _teacher(session: Session, teacher: TeacherRef | None, classes: int) -> int | None:
    if teacher is None:
        return None
    if teacher.pretrained is not None:
        found = parameters_of(teacher.pretrained, {}, classes)
        return None if found is None else found.number
    row = session.get(Teacher, teacher.id) if teacher.id else session.get(Model, teacher.model_id)
    return None if row is None else row.parameters
