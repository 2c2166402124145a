"""What a job needs: found by id, held against each other, and fixed as the facts that its worker gets."""

from typing import Any

from sqlalchemy.orm import Session

from dlkd_core.catalog import find_architecture
from dlkd_core.spec import JobSpec, TeacherRef
from registry import models
from registry.errors import (
    ArchitectureDiffers,
    ClassesDoNotFit,
    DatasetInvalid,
    DatasetUnknown,
    ImageTooSmall,
    ModelUnknown,
    TeacherInvalid,
    TeacherUnknown,
)
from registry.tables import Dataset, Model, Teacher
from registry.uploads import PACKED_FILE, UploadStatus

Facts = dict[str, Any]


def resolve(session: Session, spec: JobSpec) -> Facts | None:
    """The facts about the job's inputs, or None while one of them is still being checked.

    Raises an `Unfit` with the field at fault as soon as it is certain that the job cannot run.
    """
    dataset = _dataset(session, spec.dataset.id)
    teacher = _teacher_facts(session, spec.teacher) if spec.teacher else None
    waiting = dataset.status == UploadStatus.VALIDATING or (spec.teacher is not None and teacher is None)
    if waiting:
        return None
    _check_sizes(spec, teacher, dataset)
    if spec.teacher and teacher:
        _check_classes(spec.teacher, teacher, dataset)
    return {"teacher": teacher, "dataset": {"digest": dataset.packed_sha256, "filename": PACKED_FILE}}


def _dataset(session: Session, dataset_id: str) -> Dataset:
    dataset = session.get(Dataset, dataset_id)
    if dataset is None:
        raise DatasetUnknown(f"There is no data set {dataset_id}.", pointer="/dataset/id")
    if dataset.status == UploadStatus.INVALID:
        raise DatasetInvalid(
            f"The data set {dataset_id} is invalid: {_reason(dataset.error)}", hint=_hint(dataset.error), pointer="/dataset/id"
        )
    return dataset


def _teacher_facts(session: Session, ref: TeacherRef) -> Facts | None:
    facts = _uploaded(session, ref.id) if ref.id else _of_model(session, ref.model_id or "")
    if facts is None:
        return None
    if ref.architecture and facts["architecture"] and ref.architecture != facts["architecture"]:
        raise ArchitectureDiffers(
            f"The teacher is a {facts['architecture']}, not a {ref.architecture}.", pointer="/teacher/architecture"
        )
    return facts


def _uploaded(session: Session, teacher_id: str) -> Facts | None:
    teacher = session.get(Teacher, teacher_id)
    if teacher is None:
        raise TeacherUnknown(f"There is no teacher {teacher_id}.", pointer="/teacher/id")
    if teacher.status == UploadStatus.INVALID:
        raise TeacherInvalid(
            f"The teacher {teacher_id} is invalid: {_reason(teacher.error)}", hint=_hint(teacher.error), pointer="/teacher/id"
        )
    if teacher.status == UploadStatus.VALIDATING:
        return None
    return {"digest": teacher.sha256, "filename": f"teacher{_SUFFIX.get(teacher.format, '')}", **_network(teacher)}


def _of_model(session: Session, model_id: str) -> Facts:
    model = session.get(Model, model_id)
    if model is None:
        raise ModelUnknown(f"There is no model {model_id}.", pointer="/teacher/model_id")
    file = models.checkpoint(session, model_id)
    if file is None:
        raise TeacherInvalid(
            f"The model {model_id} has no safetensors file to learn from.",
            hint="Train it again with safetensors among its export formats.",
            pointer="/teacher/model_id",
        )
    return {"digest": file.sha256, "filename": "teacher.safetensors", **_network(model)}


_SUFFIX = {"torch": ".pt", "safetensors": ".safetensors", "onnx": ".onnx"}


def _network(row: Teacher | Model) -> Facts:
    return {
        "architecture": row.architecture,
        "options": row.options,
        "num_classes": len(row.classes) if isinstance(row, Model) else row.num_classes,
        "normalization": row.normalization,
    }


def _check_sizes(spec: JobSpec, teacher: Facts | None, dataset: Dataset) -> None:
    image = dataset.image or {}
    side = min(image["height"], image["width"])
    named = {"/student/architecture": spec.student.architecture, "/teacher/id": (teacher or {}).get("architecture")}
    for pointer, name in named.items():
        if name and side < find_architecture(name).min_size:
            raise ImageTooSmall(
                f"{name} takes images of at least {find_architecture(name).min_size} pixels; those of {dataset.id} have {side}.",
                pointer=pointer,
            )


def _check_classes(ref: TeacherRef, teacher: Facts, dataset: Dataset) -> None:
    classes, known = len(dataset.classes or []), teacher["num_classes"]
    if ref.class_map is None:
        _check_same(classes, known)
    elif len(ref.class_map) != classes:
        raise _unfit(f"class_map names {len(ref.class_map)} classes; the data set has {classes}.")
    elif known is not None and max(ref.class_map) >= known:
        raise _unfit(f"class_map names the teacher's class {max(ref.class_map)}; its classes are 0 to {known - 1}.")


def _check_same(classes: int, known: int | None) -> None:
    if known is not None and known != classes:
        raise _unfit(f"The teacher knows {known} classes, the data set has {classes}.")


def _unfit(message: str) -> ClassesDoNotFit:
    return ClassesDoNotFit(message, pointer="/teacher/class_map")


def _reason(error: Facts | None) -> str:
    return str((error or {}).get("message", ""))


def _hint(error: Facts | None) -> str | None:
    return (error or {}).get("hint")
