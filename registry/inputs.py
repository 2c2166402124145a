"""What a job needs: found by id, held against each other, and fixed as the facts that its worker gets."""

from collections.abc import Mapping
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from dlkd_core.catalog import find_architecture
from dlkd_core.spec import DEFAULT_RESIZE, DatasetRef, JobSpec, TeacherRef, TransferRef
from registry import models, names, roles
from registry.errors import (
    ArchitectureDiffers,
    ClassesDoNotFit,
    DatasetInvalid,
    DatasetUnknown,
    ImageSizeUnfit,
    ImageTooSmall,
    LabelsMissing,
    LogitsNeeded,
    ModelUnknown,
    NotFound,
    TeacherInvalid,
    TeacherUnknown,
)
from registry.tables import Dataset, Model, Teacher
from registry.uploads import PACKED_FILE, UploadStatus

Facts = dict[str, Any]
_HELD = {"read": True, "key_share": True}  # until the job names it nobody deletes it; its check may end meanwhile
Request = TypeVar("Request", bound=JobSpec)


def settle_names(session: Session, request: Request, owner: str) -> Request:
    """The request with the id of the model that its teacher is by a name of the owner's (``name@champion``) right now."""
    teacher = request.teacher
    if teacher is None or teacher.model_id is None or names.split(teacher.model_id) is None:
        return request
    try:
        model = models.find(session, teacher.model_id, owner=owner)
    except NotFound as error:
        raise ModelUnknown(error.message, hint=error.hint, pointer="/teacher/model_id") from error
    return request.model_copy(update={"teacher": teacher.model_copy(update={"model_id": model.id})})


def resolve(session: Session, spec: JobSpec, *, visible: str | None = None) -> Facts | None:
    """The facts about the job's inputs, or None while one of them is still being checked.

    Inputs of others than the owner `visible` are not there (None: all are). That is judged once, when a job is submitted.

    Raises an `Unfit` with the field at fault as soon as it is certain that the job cannot run.
    """
    dataset = _dataset(session, spec.dataset.id, visible)
    transfers = _transfers(spec)
    others = {role: _dataset(session, ref.id, visible, f"/{role}/dataset/id") for role, ref in transfers.items()}
    teacher = _teacher_facts(session, spec.teacher, visible) if spec.teacher else None
    unready = any(row.status == UploadStatus.VALIDATING for row in (dataset, *others.values()))
    if unready or (spec.teacher is not None and teacher is None):
        return None
    _check_sizes(spec, teacher, dataset)
    _check_labels(spec, dataset)
    _check_protocols(spec, dataset, others)
    if spec.teacher and teacher:
        _check_lesson(spec, teacher)
        _check_classes(spec.teacher, teacher, dataset)
    images = {role: _images(ref, others[role]) for role, ref in transfers.items()}
    return {"teacher": teacher, "dataset": _images(spec.dataset, dataset), **images}


def _transfers(spec: JobSpec) -> dict[str, DatasetRef]:
    protocols = enumerate(spec.evaluation)
    return {roles.of_protocol(place): each.dataset for place, each in protocols if isinstance(each, TransferRef)}


def _images(ref: DatasetRef, dataset: Dataset) -> Facts:
    """The packed file; or the archive as it came, where the job wants its images otherwise than the check has packed them."""
    known = {"name": dataset.name, "sha256": dataset.sha256}  # for the lineage, when the data set is gone
    if ref.image_size is None and ref.resize == DEFAULT_RESIZE:
        return {"digest": dataset.packed_sha256, "filename": PACKED_FILE, **known}
    return {"digest": dataset.sha256, "filename": dataset.filename, **known}


def _dataset(session: Session, dataset_id: str, visible: str | None, pointer: str = "/dataset/id") -> Dataset:
    dataset = session.get(Dataset, dataset_id, with_for_update=_HELD)
    if dataset is None or _hidden(dataset, visible):
        raise DatasetUnknown(f"There is no data set {dataset_id}.", pointer=pointer)
    if dataset.status == UploadStatus.INVALID:
        raise DatasetInvalid(
            f"The data set {dataset_id} is invalid: {_reason(dataset.error)}", hint=_hint(dataset.error), pointer=pointer
        )
    return dataset


def _teacher_facts(session: Session, ref: TeacherRef, visible: str | None) -> Facts | None:
    if ref.pretrained:
        return {"pretrained": ref.pretrained, "architecture": ref.pretrained, "options": {}, "num_classes": None}
    facts = _uploaded(session, ref.id, visible) if ref.id else _of_model(session, ref.model_id or "", visible)
    if facts is None:
        return None
    if ref.architecture and facts["architecture"] and ref.architecture != facts["architecture"]:
        raise ArchitectureDiffers(
            f"The teacher is a {facts['architecture']}, not a {ref.architecture}.", pointer="/teacher/architecture"
        )
    return facts


def _uploaded(session: Session, teacher_id: str, visible: str | None) -> Facts | None:
    teacher = session.get(Teacher, teacher_id, with_for_update=_HELD)
    if teacher is None or _hidden(teacher, visible):
        raise TeacherUnknown(f"There is no teacher {teacher_id}.", pointer="/teacher/id")
    if teacher.status == UploadStatus.INVALID:
        raise TeacherInvalid(
            f"The teacher {teacher_id} is invalid: {_reason(teacher.error)}", hint=_hint(teacher.error), pointer="/teacher/id"
        )
    if teacher.status == UploadStatus.VALIDATING:
        return None
    file = {"digest": teacher.sha256, "filename": f"teacher{_SUFFIX.get(teacher.format, '')}"}
    return {**file, "name": teacher.name, **_network(teacher)}


def _of_model(session: Session, model_id: str, visible: str | None) -> Facts:
    model = session.get(Model, model_id, with_for_update={"read": True})  # nobody deletes it before the job names it
    if model is None or _hidden(model, visible):
        raise ModelUnknown(f"There is no model {model_id}.", pointer="/teacher/model_id")
    file = models.checkpoint(session, model_id)
    if file is None:
        raise TeacherInvalid(
            f"The model {model_id} has no safetensors file to learn from.",
            hint="Train it again with safetensors among its export formats.",
            pointer="/teacher/model_id",
        )
    return {"digest": file.sha256, "filename": "teacher.safetensors", **_named(model), **_network(model)}


def _named(model: Model) -> Facts:
    return {"model_id": model.id, "model": f"{model.name}@{model.version}"}


def _hidden(row: Dataset | Teacher | Model, visible: str | None) -> bool:
    return visible is not None and row.owner != visible


_SUFFIX = {"torch": ".pt", "safetensors": ".safetensors", "onnx": ".onnx"}


def _network(row: Teacher | Model) -> Facts:
    return {
        "architecture": row.architecture,
        "options": row.options,
        "num_classes": len(row.classes) if isinstance(row, Model) else row.num_classes,
        "normalization": row.normalization,
    }


def _check_sizes(spec: JobSpec, teacher: Facts | None, dataset: Dataset) -> None:
    image, side = dataset.image or {}, spec.dataset.image_size
    size = (side, side) if side else (image["height"], image["width"])
    _check_size(spec.student.architecture, spec.student.options, size, "/student/architecture")
    if teacher and teacher["architecture"]:
        where = "/teacher/pretrained" if "pretrained" in teacher else "/teacher/id"
        _check_size(teacher["architecture"], teacher["options"] or {}, size, where)


def _check_size(name: str, options: Facts, size: tuple[int, int], pointer: str) -> None:
    network = find_architecture(name)
    wrong = network.misfit(options, size)
    if wrong:
        raise (ImageTooSmall if min(size) < network.min_size else ImageSizeUnfit)(f"{wrong}.", pointer=pointer)


def _check_labels(spec: JobSpec, dataset: Dataset) -> None:
    terms = spec.method.labelled()
    if terms and not _labelled(dataset):
        learns = f"The method {spec.method.name} learns from labels ({', '.join(terms)})"
        raise LabelsMissing(f"{learns}, and the training images of {dataset.id} have none.", pointer="/method")


def _labelled(dataset: Dataset) -> bool:
    """Whether the training images have labels, and so those of val. A set of before was not counted: its job finds out."""
    return bool(dataset.classes) and any((dataset.class_counts or {}).get("train", [1]))


def _check_protocols(spec: JobSpec, dataset: Dataset, others: Mapping[str, Dataset]) -> None:
    for place, protocol in enumerate(spec.evaluation):
        role = roles.of_protocol(place)
        seen = others.get(role, dataset)
        if not _labelled(seen):
            wanted = f"The protocol {protocol.name} needs images with labels"
            raise LabelsMissing(
                f"{wanted}, and the training images of {seen.id} have none.", hint="Leave the protocol out.", pointer=f"/{role}"
            )


def _check_lesson(spec: JobSpec, teacher: Facts) -> None:
    """A teacher of 0 classes has no classifier."""
    terms = spec.method.of_logits()
    if terms and teacher["num_classes"] == 0:
        learns = f"The method {spec.method.name} learns from the teacher's logits ({', '.join(terms)})"
        raise LogitsNeeded(f"{learns}; this teacher has no classifier.", pointer="/method")


def _check_classes(ref: TeacherRef, teacher: Facts, dataset: Dataset) -> None:
    classes, known = len(dataset.classes or []), teacher["num_classes"]
    if known == 0 and ref.class_map is not None:
        raise _unfit("class_map picks among the teacher's classes, and it has none.")
    if not classes or known == 0:
        return  # without labels they are the teacher's; without a classifier its features teach
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
