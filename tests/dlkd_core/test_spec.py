"""Tests for specs: defaults as in the DLKD paper, and an error for every invalid field."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from dlkd_core.catalog.methods import DLKD, DLKDAuto
from dlkd_core.spec import DistillationSpec, JobSpec
from dlkd_core.training_spec import TrainingSpec

TEACHER, DATASET, STUDENT = {"id": "teacher_1"}, {"id": "dataset_1"}, {"architecture": "resnet20"}


def make_job_spec(**parts: Any) -> JobSpec:
    return JobSpec.model_validate(
        {"teacher": TEACHER, "dataset": DATASET, "student": STUDENT, **parts}
    )


def test_the_default_method_with_a_teacher_is_dlkd_auto() -> None:
    assert isinstance(make_job_spec().method, DLKDAuto)


def test_the_parameters_of_dlkd_are_those_of_the_paper() -> None:
    method = DLKD()
    assert (method.alignment, method.correlation, method.labels) == (20, 50, 1)
    assert (method.views, method.temperature, method.hidden_factor) == ("rotation4", 0.5, 16)


def test_the_training_options_are_those_of_the_paper_or_chosen_by_the_run() -> None:
    training = make_job_spec().training
    assert (training.epochs, training.batch_size, training.learning_rate) == (240, None, None)
    assert (training.optimizer, training.momentum, training.weight_decay, training.nesterov) == (
        "sgd",
        0.9,
        5e-4,
        False,
    )
    assert (training.ema, training.patience, training.max_seconds, training.accumulate) == (
        None,
        None,
        None,
        1,
    )
    assert (training.precision, training.compile) == ("float32", "never")
    schedule = training.schedule
    assert (schedule.name, schedule.gamma, schedule.warmup_epochs) == ("auto", 0.1, 0)
    assert [share * 240 for share in schedule.milestones] == [150, 180, 210]


def test_the_default_exports_are_safetensors_and_onnx() -> None:
    assert {"safetensors", "onnx"} <= set(make_job_spec().export)


def test_without_a_teacher_the_default_method_is_plain() -> None:
    assert make_job_spec(teacher=None).method.name == "plain"
    assert JobSpec.model_validate({"dataset": DATASET, "student": STUDENT}).method.name == "plain"


def test_a_spec_survives_a_round_trip_through_json() -> None:
    spec = make_job_spec(
        method={"name": "kd", "temperature": 2},
        training={"epochs": 3, "schedule": {"name": "cosine"}},
        name="a name",
    )
    assert JobSpec.model_validate_json(spec.model_dump_json()) == spec
    assert JobSpec.model_validate(spec.model_dump(mode="json")) == spec


def test_a_validated_spec_is_immutable() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        make_job_spec().training.epochs = 3  # type: ignore[misc]  # the assignment must fail


def error_pointers(error: ValidationError) -> list[str]:
    locations = [entry["loc"] for entry in error.errors()]
    return ["/" + "/".join(str(part) for part in location) for location in locations]


@pytest.mark.parametrize(
    ("parts", "pointer"),
    [
        ({"student": {}}, "/student/architecture"),
        ({"student": {"architecture": "resnet21"}}, "/student/architecture"),
        ({"student": {"architecture": "resnet20", "options": {"shortcut": "none"}}}, "/student"),
        ({"student": {"architecture": "vgg8", "options": {"shortcut": "pad"}}}, "/student"),
        ({"dataset": {}}, "/dataset/id"),
        ({"dataset": {"id": "dataset_1", "path": "/etc"}}, "/dataset/path"),
        ({"teacher": {"id": "teacher_1", "path": "/etc/passwd"}}, "/teacher/path"),
        ({"teacher": {"id": "teacher_1", "model_id": "model_1"}}, "/teacher"),
        ({"teacher": {"architecture": "resnet20"}}, "/teacher"),
        ({"teacher": {"id": "teacher_1", "class_map": [0, -1]}}, "/teacher/class_map/indices/1"),
        (
            {"teacher": {"id": "t", "normalization": {"mean": [0, 0, 0], "std": [1, 0, 1]}}},
            "/teacher/normalization/std/1",
        ),
        (
            {"teacher": {"id": "t", "normalization": {"mean": [0, 0], "std": [1, 1, 1]}}},
            "/teacher/normalization",
        ),
        (
            {"teacher": {"id": "t", "normalization": {"mean": [float("nan"), 0], "std": [1, 1]}}},
            "/teacher/normalization/mean/0",
        ),
        (
            {"teacher": {"id": "t", "normalization": {"mean": [0, 0], "std": [float("inf"), 1]}}},
            "/teacher/normalization/std/0",
        ),
        (
            {"teacher": {"id": "teacher_1", "class_map": [0, 10**9]}},
            "/teacher/class_map/indices",
        ),
        ({"dataset": {"id": "dataset_1", "channels": 2}}, "/dataset/channels"),
        (
            {"student": {"architecture": "resnet8", "options": {"in_channels": 0}}},
            "/student",
        ),
        ({"method": {"name": "magic"}}, "/method"),
        ({"method": {"name": "kd", "temperature": 0}}, "/method/kd/temperature"),
        ({"method": {"name": "dlkd", "alignment": -1}}, "/method/dlkd/alignment"),
        ({"method": {"name": "dlkd", "beta": 1}}, "/method/dlkd/beta"),
        ({"training": {"epochs": 0}}, "/training/epochs"),
        ({"training": {"batch_size": 1}}, "/training/batch_size"),
        ({"training": {"learning_rate": "fast"}}, "/training/learning_rate"),
        ({"training": {"learning_rate": float("nan")}}, "/training/learning_rate"),
        ({"training": {"momentum": 1}}, "/training/momentum"),
        ({"training": {"seed": -1}}, "/training/seed"),
        ({"training": {"schedule": {"milestones": [0.5, 1]}}}, "/training/schedule/milestones/1"),
        ({"training": {"epoch": 3}}, "/training/epoch"),
        ({"training": {"optimizer": "lion"}}, "/training/optimizer"),
        ({"training": {"optimizer": "adamw", "nesterov": True}}, "/training"),
        ({"training": {"ema": 1}}, "/training/ema"),
        ({"training": {"ema": 0}}, "/training/ema"),
        ({"training": {"patience": 0}}, "/training/patience"),
        ({"training": {"max_seconds": 0}}, "/training/max_seconds"),
        ({"training": {"max_seconds": float("inf")}}, "/training/max_seconds"),
        ({"training": {"accumulate": 0}}, "/training/accumulate"),
        ({"training": {"precision": "float8"}}, "/training/precision"),
        ({"training": {"compile": "sometimes"}}, "/training/compile"),
        ({"export": ["tflite"]}, "/export/0"),
        ({"export": ["onnx", "onnx"]}, "/export"),
        ({"name": "x" * 201}, "/name"),
        ({"priority": 3}, "/priority"),
    ],
)
def test_every_invalid_field_is_reported_by_its_pointer(
    parts: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        make_job_spec(**parts)
    assert error_pointers(caught.value) == [pointer]


def test_several_invalid_fields_are_reported_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        make_job_spec(training={"epochs": 0, "seed": -1}, dataset={})
    assert error_pointers(caught.value) == ["/training/epochs", "/training/seed", "/dataset/id"]


def test_an_unknown_architecture_is_rejected_with_similar_names() -> None:
    with pytest.raises(
        ValidationError, match=r"no architecture called 'resnet-20'.*Did you mean .*resnet20"
    ):
        make_job_spec(student={"architecture": "resnet-20"})


def test_an_unknown_method_is_rejected_with_all_names() -> None:
    with pytest.raises(ValidationError, match="'plain', 'kd', 'dlkd'"):
        make_job_spec(method={"name": "magic"})


def test_invalid_options_are_reported_by_name_and_pointer() -> None:
    with pytest.raises(
        ValidationError,
        match="Invalid option shortcut of this architecture: Input should be 'conv'",
    ) as caught:
        make_job_spec(student={"architecture": "resnet20", "options": {"shortcut": "none"}})
    assert caught.value.errors()[0]["ctx"]["pointer"] == "/options/shortcut"


@pytest.mark.parametrize("method", ["kd", "dlkd", "dlkd_sup"])
def test_a_method_that_needs_a_teacher_is_rejected_without_one(method: str) -> None:
    with pytest.raises(
        ValidationError,
        match=f"The method {method} needs a teacher. Set teacher, or leave method out",
    ) as caught:
        make_job_spec(teacher=None, method={"name": method})
    assert caught.value.errors()[0]["ctx"]["pointer"] == "/teacher"


def test_a_teacher_that_the_method_does_not_use_is_rejected() -> None:
    with pytest.raises(ValidationError, match="The method plain does not use a teacher"):
        make_job_spec(method={"name": "plain"})


@pytest.mark.parametrize("option", ["mixup", "cutmix"])
def test_mixed_images_are_rejected_for_terms_that_need_exactly_one_label(option: str) -> None:
    training = {option: 0.5}
    for method in ("kd", "dlkd_auto", "fitnet"):
        make_job_spec(method={"name": method}, training=training)
    make_job_spec(method={"name": "plain"}, teacher=None, training=training)
    with pytest.raises(ValidationError, match="loss terms dkd of the method dkd") as caught:
        make_job_spec(method={"name": "dkd"}, training=training)
    assert caught.value.errors()[0]["ctx"]["pointer"] == f"/training/{option}"


def test_a_class_map_gives_each_class_a_class_of_its_own() -> None:
    make_job_spec(teacher={**TEACHER, "class_map": [2, 0, 1]})
    with pytest.raises(ValidationError, match="mapped to the teacher's class 2") as rejected:
        make_job_spec(teacher={**TEACHER, "class_map": [2, 0, 2]})
    (error,) = rejected.value.errors()
    assert (error["type"], error["loc"]) == (
        "class_map_repeats",
        ("teacher", "class_map", "indices"),
    )
    assert make_job_spec(teacher={**TEACHER, "class_map": "auto"}).teacher.class_map == "auto"
    with pytest.raises(ValidationError, match="Input should be 'auto'"):
        make_job_spec(teacher={**TEACHER, "class_map": "best"})


def test_a_run_spec_has_files_where_a_job_spec_has_ids() -> None:
    parts = {
        "teacher": {"path": "resnet56.th", "options": {"shortcut": "pad"}},
        "dataset": {"path": "data.zip"},
    }
    spec = DistillationSpec.model_validate({"student": STUDENT, **parts})
    assert spec.teacher is not None
    assert (spec.teacher.path, spec.dataset.path) == (Path("resnet56.th"), Path("data.zip"))
    assert spec.method == make_job_spec().method
    with pytest.raises(ValidationError, match="needs a teacher"):
        DistillationSpec.model_validate(
            {"student": STUDENT, "dataset": {"path": "data.zip"}, "method": {"name": "kd"}}
        )


def test_the_schema_has_what_a_form_needs() -> None:
    schema = JobSpec.model_json_schema()
    assert set(schema["required"]) >= {"student", "dataset"}
    listed, pattern = schema["$defs"]["StudentSpec"]["properties"]["architecture"]["anyOf"]
    assert {"resnet20", "wrn_40_2", "resnet18"} <= set(listed["enum"])
    assert pattern == {"pattern": "^timm/"}  # the schema does not list the thousand timm names
    assert len(json.dumps(schema)) < 80_000
    assert set(schema["$defs"]["TrainingSpec"]["properties"]) == set(TrainingSpec.model_fields)


def test_a_teacher_can_be_published_weights() -> None:
    assert make_job_spec(teacher={"pretrained": "resnet50"}).method.name == "dlkd_auto"
    assert (
        make_job_spec(teacher={"pretrained": "timm/resnet26", "class_map": [3, 1]}).teacher
        is not None
    )
    spec = DistillationSpec.model_validate(
        {"student": STUDENT, "dataset": {"path": "d"}, "teacher": {"pretrained": "resnet50"}}
    )
    assert spec.teacher is not None
    assert spec.teacher.path is None


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        ({"pretrained": "resnet20"}, "There are no published weights for resnet20"),
        ({"pretrained": "timm/resnet_26"}, "Did you mean timm/resnet26"),
        (
            {"pretrained": "resnet50", "id": "teacher_1"},
            "exactly one of id .*, model_id .* and pretrained",
        ),
        (
            {"pretrained": "resnet50", "architecture": "resnet50"},
            "pretrained already sets it",
        ),
        ({}, "exactly one of id"),
    ],
)
def test_a_teacher_has_exactly_one_source_and_available_weights(
    teacher: dict[str, str], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        make_job_spec(teacher=teacher)


@pytest.mark.parametrize("teacher", [{}, {"path": "a.pth", "pretrained": "resnet50"}])
def test_a_teacher_file_spec_has_exactly_one_source(teacher: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=r"exactly one of path .* and pretrained"):
        DistillationSpec.model_validate(
            {"student": STUDENT, "dataset": {"path": "d"}, "teacher": teacher}
        )


def test_a_student_can_inherit_the_weights_of_its_teacher() -> None:
    assert make_job_spec().student.init == "random"
    inheriting = {**STUDENT, "init": "teacher"}
    assert make_job_spec(student=inheriting).student.init == "teacher"
    with pytest.raises(ValidationError, match="Set teacher, or set init to random") as caught:
        make_job_spec(student=inheriting, teacher=None)
    assert caught.value.errors()[0]["type"] == "teacher_required"
    assert caught.value.errors()[0]["ctx"]["pointer"] == "/student/init"
    with pytest.raises(ValidationError, match="but not from both") as caught:
        make_job_spec(student={"architecture": "resnet50", "init": "teacher", "pretrained": True})
    assert caught.value.errors()[0]["type"] == "init_ambiguous"
    assert caught.value.errors()[0]["ctx"]["pointer"] == "/init"


def test_a_student_can_start_from_published_weights_if_there_are_any() -> None:
    assert make_job_spec(
        student={"architecture": "timm/mobilenetv3_small_050", "pretrained": True}
    ).student.pretrained
    with pytest.raises(
        ValidationError, match=r"no published weights for resnet20\. Omit `pretrained`"
    ) as caught:
        make_job_spec(student={"architecture": "resnet20", "pretrained": True})
    assert caught.value.errors()[0]["ctx"]["pointer"] == "/pretrained"


@pytest.mark.parametrize(
    ("student", "option"),
    [
        ({"architecture": "wrn", "options": {"depth": 4}}, "depth"),
        ({"architecture": "wrn", "options": {"widen_factor": 99}}, "widen_factor"),
        ({"architecture": "mobilenet_v2", "options": {"width_mult": 0}}, "width_mult"),
        ({"architecture": "resnet20", "options": {"width": 0}}, "width"),
        ({"architecture": "timm/vit_tiny_patch16_224", "options": {"image_size": 1}}, "image_size"),
        ({"architecture": "timm/resnet26", "options": {"image_size": 32}}, "image_size"),
    ],
)
def test_options_have_bounds(student: dict[str, Any], option: str) -> None:
    with pytest.raises(ValidationError, match=f"Invalid option {option} of this architecture"):
        make_job_spec(student=student)
