"""Checks that concern several fields of a spec."""

from typing import TYPE_CHECKING, TypeVar

from pydantic_core import PydanticCustomError

from dlkd_core.catalog import find_architecture

if TYPE_CHECKING:
    from dlkd_core.spec import DistillationSpec, JobSpec

_Spec = TypeVar("_Spec", "JobSpec", "DistillationSpec")
_MIXABLE_TERM = "labels"


def _check_teacher(spec: "JobSpec | DistillationSpec") -> None:
    if spec.method.needs_teacher and spec.teacher is None:
        raise PydanticCustomError(
            "teacher_required",
            "The method {name} needs a teacher. Set teacher, or leave method out (or set it to"
            " plain) to train on the labels alone.",
            {"name": spec.method.name, "pointer": "/teacher"},
        )
    if spec.teacher is not None and not spec.method.needs_teacher:
        raise PydanticCustomError(
            "teacher_unused",
            "The method {name} does not use a teacher. Set teacher to null, or use another method.",
            {"name": spec.method.name, "pointer": "/teacher"},
        )


def _check_student_init(spec: "JobSpec | DistillationSpec") -> None:
    if spec.teacher is None and spec.student.init == "teacher":
        raise PydanticCustomError(
            "teacher_required",
            "The student can inherit weights only from a teacher. Set teacher, or set init to"
            " random.",
            {"pointer": "/student/init"},
        )


def _check_baseline(spec: "JobSpec | DistillationSpec") -> None:
    if not spec.baseline:
        return
    if not spec.method.needs_teacher:
        raise PydanticCustomError(
            "baseline_unused",
            "The method {name} already trains on the labels alone, so it has no baseline. Set"
            " baseline to false, or set a teacher.",
            {"name": spec.method.name, "pointer": "/baseline"},
        )
    if not spec.method.trains_classifier:
        raise PydanticCustomError(
            "baseline_unsupported",
            "The method {name} trains no classifier, so there is no accuracy to compare with a"
            " baseline. Set baseline to false, or add a loss on labels or logits to the method.",
            {"name": spec.method.name, "pointer": "/baseline"},
        )


def _check_mixing(spec: "JobSpec | DistillationSpec") -> None:
    """Check that images are only mixed if each loss term can use two labels per image."""
    terms = [term for term in spec.method.terms_needing_labels() if term != _MIXABLE_TERM]
    options = [name for name in ("mixup", "cutmix") if getattr(spec.training, name) is not None]
    if terms and options:
        raise PydanticCustomError(
            "mixing_unsupported",
            "{option} gives each image two labels, but the loss terms {terms} of the method {name}"
            " need exactly one. Omit {option}, or use another method.",
            {
                "option": options[0],
                "terms": ", ".join(terms),
                "name": spec.method.name,
                "pointer": f"/training/{options[0]}",
            },
        )


def _check_image_size(spec: "JobSpec | DistillationSpec") -> None:
    side, student = spec.dataset.image_size, spec.student
    if side is None:
        return
    architecture = find_architecture(student.architecture)
    mismatch = architecture.describe_size_mismatch(student.options, (side, side))
    if mismatch:
        raise PydanticCustomError(
            "image_size_unfit",
            "{mismatch}.",
            {"mismatch": mismatch, "pointer": "/dataset/image_size"},
        )


def check_inputs(spec: _Spec) -> _Spec:
    """Return the spec, or raise `PydanticCustomError` if its fields contradict each other."""
    _check_teacher(spec)
    _check_student_init(spec)
    _check_baseline(spec)
    _check_mixing(spec)
    _check_image_size(spec)
    return spec
