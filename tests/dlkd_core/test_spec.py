"""What a run can be asked for: the paper's defaults, and an answer to every wrong field."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from dlkd_core.catalog.methods import DLKD
from dlkd_core.spec import DistillationSpec, JobSpec
from dlkd_core.training_spec import TrainingSpec

TEACHER, DATASET, STUDENT = {"id": "teacher_1"}, {"id": "dataset_1"}, {"architecture": "resnet20"}


def job(**parts: Any) -> JobSpec:
    return JobSpec.model_validate({"teacher": TEACHER, "dataset": DATASET, "student": STUDENT, **parts})


def test_a_job_of_three_names_is_the_papers_run() -> None:
    spec = job()
    assert isinstance(spec.method, DLKD)
    assert (spec.method.alignment, spec.method.correlation, spec.method.labels) == (20, 50, 1)
    assert (spec.method.views, spec.method.temperature, spec.method.hidden_factor) == ("rotation4", 0.5, 16)
    training = spec.training
    assert (training.epochs, training.batch_size, training.learning_rate) == (240, 64, 0.05)
    assert (training.optimizer, training.momentum, training.weight_decay, training.nesterov) == ("sgd", 0.9, 5e-4, False)
    assert (training.ema, training.patience, training.max_seconds, training.accumulate) == (None, None, None, 1)
    assert (training.precision, training.compile) == ("float32", "never")
    assert [share * 240 for share in training.schedule.milestones] == [150, 180, 210]
    assert (training.schedule.name, training.schedule.gamma, training.schedule.warmup_epochs) == ("step", 0.1, 0)
    assert {"safetensors", "onnx"} <= set(spec.export)


def test_without_a_teacher_the_labels_alone_are_learnt() -> None:
    assert job(teacher=None).method.name == "plain"
    assert JobSpec.model_validate({"dataset": DATASET, "student": STUDENT}).method.name == "plain"


def test_a_spec_survives_its_own_json() -> None:
    spec = job(method={"name": "kd", "temperature": 2}, training={"epochs": 3, "schedule": {"name": "cosine"}}, name="a name")
    assert JobSpec.model_validate_json(spec.model_dump_json()) == spec
    assert JobSpec.model_validate(spec.model_dump(mode="json")) == spec


def test_a_spec_cannot_be_changed_once_it_is_checked() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        job().training.epochs = 3  # type: ignore[misc]  # that is the point


def pointers(error: ValidationError) -> list[str]:
    return ["/" + "/".join(str(part) for part in one["loc"]) for one in error.errors()]


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
        ({"teacher": {"id": "teacher_1", "class_map": [0, -1]}}, "/teacher/class_map/1"),
        ({"teacher": {"id": "t", "normalization": {"mean": [0, 0, 0], "std": [1, 0, 1]}}}, "/teacher/normalization/std/1"),
        ({"teacher": {"id": "t", "normalization": {"mean": [0, 0], "std": [1, 1, 1]}}}, "/teacher/normalization/mean/2"),
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
def test_every_bad_field_is_named_by_its_pointer(parts: dict[str, Any], pointer: str) -> None:
    with pytest.raises(ValidationError) as caught:
        job(**parts)
    assert pointers(caught.value) == [pointer]


def test_several_bad_fields_are_named_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        job(training={"epochs": 0, "seed": -1}, dataset={})
    assert pointers(caught.value) == ["/training/epochs", "/training/seed", "/dataset/id"]


def test_an_unknown_architecture_is_answered_with_near_ones() -> None:
    with pytest.raises(ValidationError, match=r"no architecture called 'resnet-20'.*Did you mean .*resnet20"):
        job(student={"architecture": "resnet-20"})


def test_an_unknown_method_is_answered_with_those_there_are() -> None:
    with pytest.raises(ValidationError, match="'plain', 'kd', 'dlkd'"):
        job(method={"name": "magic"})


def test_wrong_options_say_which_and_where() -> None:
    with pytest.raises(ValidationError, match="options of this architecture: shortcut: Input should be 'conv'") as caught:
        job(student={"architecture": "resnet20", "options": {"shortcut": "none"}})
    assert caught.value.errors()[0]["ctx"]["pointer"] == "/options/shortcut"


@pytest.mark.parametrize("method", ["kd", "dlkd", "dlkd_sup"])
def test_a_forgotten_teacher_is_missed(method: str) -> None:
    with pytest.raises(ValidationError, match=f"The method {method} needs a teacher; leave method out") as caught:
        job(teacher=None, method={"name": method})
    assert caught.value.errors()[0]["ctx"]["pointer"] == "/teacher"


def test_a_teacher_that_would_teach_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="The method plain uses no teacher"):
        job(method={"name": "plain"})


def test_a_run_takes_files_where_a_job_takes_ids() -> None:
    parts = {"teacher": {"path": "resnet56.th", "options": {"shortcut": "pad"}}, "dataset": {"path": "data.zip"}}
    spec = DistillationSpec.model_validate({"student": STUDENT, **parts})
    assert spec.teacher is not None
    assert (spec.teacher.path, spec.dataset.path) == (Path("resnet56.th"), Path("data.zip"))
    assert spec.method == job().method
    with pytest.raises(ValidationError, match="needs a teacher"):
        DistillationSpec.model_validate({"student": STUDENT, "dataset": {"path": "data.zip"}, "method": {"name": "kd"}})


def test_the_schema_tells_a_form_what_it_needs() -> None:
    schema = JobSpec.model_json_schema()
    assert set(schema["required"]) >= {"student", "dataset"}
    listed, pattern = schema["$defs"]["StudentSpec"]["properties"]["architecture"]["anyOf"]
    assert {"resnet20", "wrn_40_2", "resnet18"} <= set(listed["enum"])
    assert pattern == {"pattern": "^timm/"}  # a thousand names more would be most of the schema
    assert len(json.dumps(schema)) < 60_000
    assert set(schema["$defs"]["TrainingSpec"]["properties"]) == set(TrainingSpec.model_fields)


def test_published_weights_are_a_teacher_by_name() -> None:
    assert job(teacher={"pretrained": "resnet50"}).method.name == "dlkd"
    assert job(teacher={"pretrained": "timm/resnet26", "class_map": [3, 1]}).teacher is not None
    spec = DistillationSpec.model_validate({"student": STUDENT, "dataset": {"path": "d"}, "teacher": {"pretrained": "resnet50"}})
    assert spec.teacher is not None
    assert spec.teacher.path is None


@pytest.mark.parametrize(
    ("teacher", "told"),
    [
        ({"pretrained": "resnet20"}, "Nobody publishes weights of resnet20"),
        ({"pretrained": "timm/resnet_26"}, "Did you mean timm/resnet26"),
        ({"pretrained": "resnet50", "id": "teacher_1"}, "exactly one of id .*, model_id .* and pretrained"),
        ({"pretrained": "resnet50", "architecture": "resnet50"}, "pretrained names the architecture already"),
        ({}, "exactly one of id"),
    ],
)
def test_a_teacher_is_one_thing_and_weights_are_published_or_not(teacher: dict[str, str], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        job(teacher=teacher)


@pytest.mark.parametrize("teacher", [{}, {"path": "a.pth", "pretrained": "resnet50"}])
def test_a_teacher_on_this_machine_is_a_file_or_published(teacher: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=r"exactly one of path .* and pretrained"):
        DistillationSpec.model_validate({"student": STUDENT, "dataset": {"path": "d"}, "teacher": teacher})


def test_a_student_begins_with_published_weights_where_there_are_some() -> None:
    assert job(student={"architecture": "timm/mobilenetv3_small_050", "pretrained": True}).student.pretrained
    with pytest.raises(ValidationError, match="Nobody publishes weights of resnet20: leave pretrained out") as caught:
        job(student={"architecture": "resnet20", "pretrained": True})
    assert caught.value.errors()[0]["ctx"]["pointer"] == "/pretrained"


@pytest.mark.parametrize(
    ("student", "wrong"),
    [
        ({"architecture": "wrn", "options": {"depth": 4}}, "depth"),
        ({"architecture": "wrn", "options": {"widen_factor": 99}}, "widen_factor"),
        ({"architecture": "mobilenet_v2", "options": {"width_mult": 0}}, "width_mult"),
        ({"architecture": "resnet20", "options": {"width": 0}}, "width"),
        ({"architecture": "timm/vit_tiny_patch16_224", "options": {"image_size": 1}}, "image_size"),
        ({"architecture": "timm/resnet26", "options": {"image_size": 32}}, "image_size"),
    ],
)
def test_options_have_bounds(student: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValidationError, match=f"options of this architecture: {wrong}"):
        job(student=student)
