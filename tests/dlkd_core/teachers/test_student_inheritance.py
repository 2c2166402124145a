"""Tests for runs whose student starts with the weights of its teacher."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dlkd_core import events
from dlkd_core.data import ReadOptions
from dlkd_core.distributed.process_group import SINGLE_PROCESS
from dlkd_core.errors import SpecError, WeightsDoNotFit
from dlkd_core.events import CHECKPOINT_FILE
from dlkd_core.models import FeatureExtractor
from dlkd_core.pipeline import build_training_run, load_inputs, run
from dlkd_core.spec import DistillationSpec
from tests.dlkd_core.conftest import MakeSpec
from tests.dlkd_core.run_helpers import (
    finished_steps,
    load_student_weights,
    notice_messages,
    run_to_end,
    run_to_report,
    train_stripes_teacher,
)

INHERITING = {"architecture": "resnet8", "init": "teacher"}


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory, stripes: Path) -> Path:
    return train_stripes_teacher(stripes, tmp_path_factory.mktemp("teacher"), "resnet20")


@pytest.fixture(scope="module")
def teacher_weights(teacher: Path) -> dict[str, Tensor]:
    return load_file(teacher)


def build_student(spec: DistillationSpec, directory: Path) -> tuple[FeatureExtractor, list[str]]:
    """Return the student as it is before the first step, and the messages of the notices."""
    loading, notices = load_inputs(spec, ReadOptions(cache_dir=directory), SINGLE_PROCESS), []
    while True:
        try:
            event = next(loading)
        except StopIteration as stop:
            inputs = stop.value
            break
        if isinstance(event, events.Notice):
            notices.append(event.message)
    return build_training_run(inputs, inputs.data, directory, None, "").state.student, notices


def test_a_run_starts_with_the_weights_and_the_normalization_of_the_teacher(
    make_spec: MakeSpec, teacher: Path, teacher_weights: dict[str, Tensor], tmp_path: Path
) -> None:
    normalization = {"mean": [0.3, 0.4, 0.5], "std": [0.3, 0.2, 0.25]}
    spec = make_spec(
        student=INHERITING,
        teacher={"path": teacher, "normalization": normalization},
        method={"name": "kd"},
    )
    student, notices = build_student(spec, tmp_path)
    weights = student.network.state_dict()
    for name, tensor in weights.items():
        if tensor.is_floating_point():  # every block of a resnet8 is the first of its stage
            assert torch.equal(tensor, teacher_weights[name]), name
    assert student.training
    assert all(parameter.requires_grad for parameter in student.parameters())
    assert student.mean.flatten().tolist() == pytest.approx(normalization["mean"])
    assert student.std.flatten().tolist() == pytest.approx(normalization["std"])
    assert notices[0] == (
        "The student inherits 29 of 29 tensors (100 % of its parameters) from the teacher."
    )


def test_the_first_step_starts_from_these_weights(
    make_spec: MakeSpec, teacher: Path, teacher_weights: dict[str, Tensor], tmp_path: Path
) -> None:
    training = {"epochs": 1, "learning_rate": 1e-9, "weight_decay": 0}
    spec = make_spec(
        student=INHERITING, teacher={"path": teacher}, method={"name": "kd"}, training=training
    )
    report, run_events = run_to_end(spec, tmp_path)
    trained = load_student_weights(tmp_path)
    for name in ("conv1.weight", "layer3.0.conv2.weight", "fc.weight"):
        torch.testing.assert_close(trained[name], teacher_weights[name], rtol=0, atol=1e-6)
    assert any("inherits 29 of 29 tensors" in text for text in notice_messages(run_events))
    assert report["lineage"]["inherited_tensors"] == 29
    assert report["lineage"]["inherited_parameters"] == report["parameters"]
    for part in ("mean", "std"):
        expected = report["metrics"]["teacher"]["normalization"][part]
        assert report["normalization"][part] == pytest.approx(expected)


def test_a_random_student_inherits_nothing(
    make_spec: MakeSpec, teacher: Path, tmp_path: Path
) -> None:
    parts: dict[str, Any] = {"teacher": {"path": teacher}, "method": {"name": "kd"}}
    reports = []
    for name, student in (("random", {"architecture": "resnet8"}), ("teacher", INHERITING)):
        spec = make_spec(**parts, student=student, training={"epochs": 1})
        reports.append(run_to_end(spec, tmp_path / name))
    (random_report, run_events), (report, _) = reports
    assert random_report["lineage"]["inherited_tensors"] is None
    assert random_report["lineage"]["inherited_parameters"] is None
    assert not any("inherits" in text for text in notice_messages(run_events))
    assert random_report["lineage"]["run"] != report["lineage"]["run"]


def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(
    make_spec: MakeSpec, teacher: Path, tmp_path: Path
) -> None:
    spec = make_spec(
        student=INHERITING,
        teacher={"path": teacher},
        method={"name": "dlkd"},
        training={"epochs": 2},
    )
    run_to_end(spec, tmp_path / "uninterrupted")
    stopped_run = run(spec, tmp_path / "stopped")
    for event in stopped_run:
        if isinstance(event, events.StepFinished) and event.step == 5:
            break
    stopped_run.close()
    checkpoint = tmp_path / "stopped" / CHECKPOINT_FILE
    resumed_run = run(spec, tmp_path / "resumed", resume_from=checkpoint)
    assert finished_steps(resumed_run) == list(range(6, 17))
    expected = load_student_weights(tmp_path / "uninterrupted")
    resumed = load_student_weights(tmp_path / "resumed")
    assert all(torch.equal(value, expected[name]) for name, value in resumed.items())


def test_the_classifier_takes_the_classes_of_the_class_map(
    make_spec: MakeSpec, teacher_weights: dict[str, Tensor], tmp_path: Path
) -> None:
    class_map = [4, 0, 2]
    wide = dict(teacher_weights)
    wide["fc.weight"], wide["fc.bias"] = torch.rand(5, 64), torch.full((5,), -9.0)
    wide["fc.weight"][class_map] = teacher_weights["fc.weight"]
    wide["fc.bias"][class_map] = teacher_weights["fc.bias"]
    save_file(wide, tmp_path / "wide.safetensors")
    spec = make_spec(
        student=INHERITING,
        teacher={"path": tmp_path / "wide.safetensors", "class_map": class_map},
        method={"name": "kd"},
    )
    student, _ = build_student(spec, tmp_path)
    for name in ("fc.weight", "fc.bias"):
        assert torch.equal(student.network.state_dict()[name], teacher_weights[name])


def test_a_teacher_without_a_classifier_gives_its_backbone(
    make_spec: MakeSpec, teacher_weights: dict[str, Tensor], tmp_path: Path
) -> None:
    backbone = {name: value for name, value in teacher_weights.items() if not name.startswith("fc")}
    torch.save({"state_dict": backbone, "arch": "resnet20"}, tmp_path / "backbone.pth")
    spec = make_spec(
        student=INHERITING,
        teacher={"path": tmp_path / "backbone.pth"},
        method={"name": "dlkd"},
    )
    student, notices = build_student(spec, tmp_path)
    assert any("inherits 27 of 29 tensors" in text for text in notices)
    weight = student.network.state_dict()["layer3.0.conv1.weight"]
    assert torch.equal(weight, teacher_weights["layer3.0.conv1.weight"])


def check_error(spec: DistillationSpec, directory: Path, message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        list(run(spec, directory))
    error = caught.value
    assert isinstance(error, WeightsDoNotFit)
    assert (error.code, error.pointer) == ("weights_do_not_fit", "/student/init")
    assert "set student.init to random" in error.hint


@pytest.mark.parametrize(
    ("student", "message"),
    [
        ({"architecture": "vgg8"}, "vgg8 cannot inherit the weights of resnet20, which belongs"),
        ({"architecture": "resnet18"}, "belongs to another family"),
        (
            {"architecture": "resnet8", "options": {"width": 2}},
            "resnet8 cannot inherit the weights of resnet20, because no layer fits",
        ),
    ],
    ids=["another family", "another library", "wider student"],
)
def test_weights_that_do_not_fit_are_an_error(
    make_spec: MakeSpec, teacher: Path, tmp_path: Path, student: dict[str, Any], message: str
) -> None:
    spec = make_spec(
        student={**student, "init": "teacher"}, teacher={"path": teacher}, method={"name": "kd"}
    )
    check_error(spec, tmp_path, message)


def test_a_graph_gives_no_weights(make_spec: MakeSpec, teacher: Path, tmp_path: Path) -> None:
    first = make_spec(
        teacher={"path": teacher}, method={"name": "kd"}, training={"epochs": 12}, export=["onnx"]
    )
    assert run_to_report(first, tmp_path)["metrics"]["student"]["top1"] > 0.9
    spec = make_spec(
        student=INHERITING, teacher={"path": tmp_path / "student.onnx"}, method={"name": "kd"}
    )
    check_error(spec, tmp_path, "The teacher is an ONNX graph")
