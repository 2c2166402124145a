"""Resolution of a job's inputs: load them by id, check that they fit, and collect facts.

The facts are stored in `Job.inputs`. They tell the worker which files to fetch.
"""

import itertools
from collections.abc import Mapping
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from dlkd_core.catalog import find_architecture
from dlkd_core.catalog.architectures.alike_networks import find_alike_networks
from dlkd_core.catalog.architectures.architecture import RGB_CHANNELS
from dlkd_core.catalog.architectures.transformers_networks import (
    describe_size_mismatch,
    is_transformers_network,
)
from dlkd_core.catalog.channels import input_channels, resolve_channels
from dlkd_core.errors import ImagesDoNotFit
from dlkd_core.spec import (
    AUTO_CLASS_MAP,
    DEFAULT_RESIZE,
    DatasetRef,
    JobSpec,
    StudentInit,
    TeacherRef,
    TransferRef,
)
from registry.db.input_tables import Dataset, Teacher
from registry.db.model_tables import Model
from registry.errors import (
    ArchitectureMismatch,
    ChannelsUnsupported,
    ClassesMismatch,
    ClassesTooFew,
    DatasetInvalid,
    DatasetUnknown,
    ImageSizeUnsupported,
    ImageTooSmall,
    LabelsMissing,
    LogitsNeeded,
    ModelUnknown,
    NotFound,
    TeacherInvalid,
    TeacherUnknown,
    WeightsMismatch,
)
from registry.inputs.input_roles import DATASET_ROLE, TEACHER_ROLE, protocol_role
from registry.models import model_names, model_versions
from registry.uploads.upload_check_jobs import PACKED_FILE, UploadStatus

InputFacts = dict[str, Any]
_SpecT = TypeVar("_SpecT", bound=JobSpec)
_RowT = TypeVar("_RowT", bound=Teacher | Dataset)
# This lock keeps a row from being deleted before the job refers to it. The row's check can still
# finish in the meantime.
_SHARE_LOCK = {"read": True, "key_share": True}
_TEACHER_SUFFIXES = {"torch": ".pt", "safetensors": ".safetensors", "onnx": ".onnx"}


def resolve_model_name(session: Session, request: _SpecT, owner: str) -> _SpecT:
    """Return the request with a teacher such as ``name@champion`` replaced by the model's id."""
    teacher = request.teacher
    if (
        teacher is None
        or teacher.model_id is None
        or model_names.parse_reference(teacher.model_id) is None
    ):
        return request
    try:
        model = model_versions.find(session, teacher.model_id, owner=owner)
    except NotFound as error:
        raise ModelUnknown(error.message, hint=error.hint, pointer="/teacher/model_id") from error
    return request.model_copy(update={"teacher": teacher.model_copy(update={"model_id": model.id})})


def resolve(
    session: Session, spec: JobSpec, *, visible_owner: str | None = None
) -> InputFacts | None:
    """Return the facts about the inputs, keyed by role, or None while an input is being checked.

    `visible_owner` is the only owner whose inputs may be used, or None for all owners. It is
    passed only when a job is submitted, not when its inputs are resolved again later.

    Raises:
        UnprocessableRequest: The job cannot run. The error points to the field that caused it.
    """
    dataset = _load_input(session, Dataset, spec.dataset.id, visible_owner, "/dataset/id")
    transfer_refs = {
        protocol_role(index): protocol.dataset
        for index, protocol in enumerate(spec.evaluation)
        if isinstance(protocol, TransferRef)
    }
    transfer_datasets = {
        role: _load_input(session, Dataset, ref.id, visible_owner, f"/{role}/dataset/id")
        for role, ref in transfer_refs.items()
    }
    teacher = _teacher_facts(session, spec.teacher, visible_owner) if spec.teacher else None
    datasets = (dataset, *transfer_datasets.values())
    is_unready = any(row.status == UploadStatus.VALIDATING for row in datasets)
    if is_unready or (spec.teacher is not None and teacher is None):
        return None
    _check_sizes(spec, teacher, dataset)
    _check_method(spec, dataset)
    _check_protocols(spec, dataset, transfer_datasets)
    if spec.teacher and teacher:
        _check_inheritance(spec, teacher)
        _check_logits(spec, teacher)
        _check_classes(spec.teacher, teacher, dataset)
    transfer_facts = {
        role: _dataset_facts(ref, transfer_datasets[role]) for role, ref in transfer_refs.items()
    }
    return {
        TEACHER_ROLE: teacher,
        DATASET_ROLE: _dataset_facts(spec.dataset, dataset),
        **transfer_facts,
    }


def _dataset_facts(ref: DatasetRef, dataset: Dataset) -> InputFacts:
    """Return the facts about the file that the job reads.

    It is the packed file or, if the job uses another image size, the original archive.
    """
    # The lineage needs the name and the archive's digest after the dataset has been deleted.
    facts = {"name": dataset.name, "sha256": dataset.sha256}
    if ref.image_size is None and ref.resize == DEFAULT_RESIZE:
        return {"digest": dataset.packed_sha256, "filename": PACKED_FILE, **facts}
    return {"digest": dataset.sha256, "filename": dataset.filename, **facts}


def _load_input(
    session: Session, table: type[_RowT], row_id: str, visible_owner: str | None, pointer: str
) -> _RowT:
    noun, unknown, invalid = (
        ("teacher", TeacherUnknown, TeacherInvalid)
        if table is Teacher
        else ("dataset", DatasetUnknown, DatasetInvalid)
    )
    row = session.get(table, row_id, with_for_update=_SHARE_LOCK)
    if row is None or _is_hidden(row, visible_owner):
        raise unknown(f"There is no {noun} {row_id}.", pointer=pointer)
    if row.status == UploadStatus.INVALID:
        error = row.error or {}
        message = f"The {noun} {row_id} is invalid: {error.get('message', '')}"
        raise invalid(message, hint=error.get("hint"), pointer=pointer)
    return row


def _teacher_facts(
    session: Session, ref: TeacherRef, visible_owner: str | None
) -> InputFacts | None:
    if ref.pretrained:
        return {
            "pretrained": ref.pretrained,
            "architecture": ref.pretrained,
            "options": {},
            "num_classes": None,
        }
    facts = (
        _uploaded_teacher_facts(session, ref.id, visible_owner)
        if ref.id
        else _model_teacher_facts(session, ref.model_id or "", visible_owner)
    )
    if facts is None:
        return None
    return _use_architecture(ref.architecture, facts) if ref.architecture else facts


def _use_architecture(requested: str, facts: InputFacts) -> InputFacts:
    """Return the facts with the architecture that the job requests.

    An uploaded checkpoint may belong to any network whose weights have the same names and shapes.
    """
    recognized = facts["architecture"]
    if not recognized or requested == recognized:
        return {**facts, "alternatives": None}
    alike = itertools.chain.from_iterable(find_alike_networks(recognized))
    if "model_id" in facts or requested not in alike:
        raise ArchitectureMismatch(
            f"The teacher's architecture is {recognized}, not {requested}.",
            pointer="/teacher/architecture",
        )
    return {**facts, "architecture": requested, "options": {}, "alternatives": None}


def _uploaded_teacher_facts(
    session: Session, teacher_id: str, visible_owner: str | None
) -> InputFacts | None:
    teacher = _load_input(session, Teacher, teacher_id, visible_owner, "/teacher/id")
    if teacher.status == UploadStatus.VALIDATING:
        return None
    return {
        "digest": teacher.sha256,
        "filename": f"teacher{_TEACHER_SUFFIXES.get(teacher.format, '')}",
        "name": teacher.name,
        "alternatives": teacher.alternatives,
        **_network_facts(teacher),
    }


def _model_teacher_facts(session: Session, model_id: str, visible_owner: str | None) -> InputFacts:
    # The lock keeps the model from being deleted before the job refers to it.
    model = session.get(Model, model_id, with_for_update={"read": True})
    if model is None or _is_hidden(model, visible_owner):
        raise ModelUnknown(f"There is no model {model_id}.", pointer="/teacher/model_id")
    file = model_versions.find_checkpoint(session, model_id)
    if file is None:
        raise TeacherInvalid(
            f"The model {model_id} has no safetensors file, so it cannot be used as a teacher.",
            hint="Train it again with safetensors in its export formats.",
            pointer="/teacher/model_id",
        )
    return {
        "digest": file.sha256,
        "filename": "teacher.safetensors",
        "model_id": model.id,
        "model": f"{model.name}@{model.version}",
        **_network_facts(model),
    }


def _is_hidden(row: Dataset | Teacher | Model, visible_owner: str | None) -> bool:
    return visible_owner is not None and row.owner != visible_owner


def _network_facts(row: Teacher | Model) -> InputFacts:
    return {
        "architecture": row.architecture,
        "options": row.options,
        "num_classes": len(row.classes) if isinstance(row, Model) else row.num_classes,
        "normalization": row.normalization,
    }


def _check_sizes(spec: JobSpec, teacher: InputFacts | None, dataset: Dataset) -> None:
    image, side = dataset.image or {}, spec.dataset.image_size
    size = (side, side) if side else (image["height"], image["width"])
    _check_channels(spec, teacher, image.get("channels", RGB_CHANNELS))
    _check_size(spec.student.architecture, spec.student.options, size, "/student/architecture")
    if teacher and teacher["architecture"]:
        pointer = "/teacher/pretrained" if "pretrained" in teacher else "/teacher/id"
        _check_size(teacher["architecture"], teacher["options"] or {}, size, pointer)


def _check_channels(spec: JobSpec, teacher: InputFacts | None, in_dataset: int) -> None:
    of_teacher = input_channels(teacher["options"] or {}) if teacher else None
    try:
        channels = resolve_channels(spec.dataset.channels, in_dataset, of_teacher)
    except ImagesDoNotFit as error:
        raise ChannelsUnsupported(error.message, hint=error.hint, pointer=error.pointer) from error
    built_for = spec.student.options.get("in_channels", channels)
    if built_for != channels:
        raise ChannelsUnsupported(
            f"The student takes images with {built_for} channels, but those of the job have"
            f" {channels}.",
            hint="Omit in_channels, or set dataset.channels.",
            pointer="/student/options/in_channels",
        )


def _check_size(name: str, options: InputFacts, size: tuple[int, int], pointer: str) -> None:
    if is_transformers_network(name):
        mismatch = describe_size_mismatch(name, options, size)
        if mismatch:
            raise ImageSizeUnsupported(f"{mismatch}.", pointer=pointer)
        return
    architecture = find_architecture(name)
    mismatch = architecture.describe_size_mismatch(options, size)
    if mismatch:
        is_too_small = min(size) < architecture.min_size
        error_type = ImageTooSmall if is_too_small else ImageSizeUnsupported
        raise error_type(f"{mismatch}.", pointer=pointer)


def _check_inheritance(spec: JobSpec, teacher: InputFacts) -> None:
    """Check that the student may be able to inherit the teacher's weights.

    Which of them fit is known only when the job runs.
    """
    student, name = spec.student, teacher["architecture"]
    if student.init != StudentInit.TEACHER:
        return
    if not name:
        raise WeightsMismatch(
            "The teacher is an ONNX graph, and students cannot inherit the weights of a graph.",
            pointer="/student/init",
        )
    own = find_architecture(student.architecture)
    if is_transformers_network(name) or not own.may_inherit_from(find_architecture(name)):
        raise WeightsMismatch(
            f"{student.architecture} cannot inherit the weights of {name}, which belongs to another"
            " family of networks.",
            pointer="/student/init",
        )


def _check_method(spec: JobSpec, dataset: Dataset) -> None:
    terms = spec.method.terms_needing_labels()
    if terms and not _has_labels(dataset):
        raise LabelsMissing(
            f"The method {spec.method.name} needs labels (for {', '.join(terms)}), but the "
            f"training images of {dataset.id} have none.",
            pointer="/method",
        )
    classes, min_classes = len(dataset.classes or []), spec.method.min_classes
    if 0 < classes < min_classes:
        raise ClassesTooFew(
            f"The method {spec.method.name} with standardized logits needs at least {min_classes}"
            f" classes, but {dataset.id} has {classes}.",
            pointer="/method",
        )
    if spec.baseline and not _has_labels(dataset):
        raise LabelsMissing(
            "The baseline is trained on labels, but the training images of "
            f"{dataset.id} have none.",
            hint="Set baseline to false, or use a dataset with labels.",
            pointer="/baseline",
        )


def _has_labels(dataset: Dataset) -> bool:
    """Return whether the training images have labels. Validation images then have labels too.

    Datasets that were checked before the service stored label counts are assumed to have labels.
    The jobs that use them check the labels themselves.
    """
    train_counts = (dataset.class_counts or {}).get("train", [1])
    return bool(dataset.classes) and any(train_counts)


def _check_protocols(
    spec: JobSpec, dataset: Dataset, transfer_datasets: Mapping[str, Dataset]
) -> None:
    for index, protocol in enumerate(spec.evaluation):
        role = protocol_role(index)
        evaluated = transfer_datasets.get(role, dataset)
        if not _has_labels(evaluated):
            raise LabelsMissing(
                f"The protocol {protocol.name} needs labels, but the training images of "
                f"{evaluated.id} have none.",
                hint="Remove the protocol from evaluation.",
                pointer=f"/{role}",
            )


def _check_logits(spec: JobSpec, teacher: InputFacts) -> None:
    terms = spec.method.terms_needing_logits()
    if terms and teacher["num_classes"] == 0:
        raise LogitsNeeded(
            f"The method {spec.method.name} needs the teacher's logits (for {', '.join(terms)}), "
            "but this teacher has no classifier.",
            pointer="/method",
        )


def _check_classes(ref: TeacherRef, teacher: InputFacts, dataset: Dataset) -> None:
    classes, teacher_classes = len(dataset.classes or []), teacher["num_classes"]
    if teacher_classes == 0 and ref.class_map is not None:
        raise _class_map_error("class_map selects teacher classes, but this teacher has none.")
    if not classes and ref.class_map == AUTO_CLASS_MAP:
        raise _class_map_error("The order of the classes cannot be found without labeled images.")
    if not classes or teacher_classes == 0:
        # A dataset without labels takes over the teacher's classes. If the teacher has no
        # classifier, only its features are distilled.
        return
    if ref.class_map == AUTO_CLASS_MAP:
        if teacher_classes is not None and teacher_classes < classes:
            raise _class_map_error(
                f"The teacher has only {teacher_classes} classes, but the dataset has {classes}."
            )
    elif ref.class_map is None:
        if teacher_classes is not None and teacher_classes != classes:
            raise _class_map_error(
                f"The teacher has {teacher_classes} classes, but the dataset has {classes}."
            )
    elif len(ref.class_map) != classes:
        raise _class_map_error(
            f"class_map has {len(ref.class_map)} entries, but the dataset has {classes} classes."
        )
    elif teacher_classes is not None and max(ref.class_map) >= teacher_classes:
        raise _class_map_error(
            f"class_map contains the class index {max(ref.class_map)}, but the teacher's classes "
            f"are 0 to {teacher_classes - 1}."
        )


def _class_map_error(message: str) -> ClassesMismatch:
    return ClassesMismatch(message, pointer="/teacher/class_map")
