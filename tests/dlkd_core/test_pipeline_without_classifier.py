"""Tests for runs in which teacher, student or both have no trained classifier."""

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from dlkd_core import events
from dlkd_core.errors import ClassesDoNotFit, LogitsNeeded, TeacherAtChance
from dlkd_core.models import build_network
from dlkd_core.pipeline import run
from dlkd_core.reporting.model_card import UNTRAINED_CLASSIFIER_NOTICE
from tests.dlkd_core.conftest import MakeSpec
from tests.dlkd_core.run_helpers import (
    notice_messages,
    run_to_end,
    run_to_report,
    train_stripes_teacher,
)

UNSUPERVISED_METHOD = {"name": "dlkd", "labels": 0}


def to_moco_checkpoint(weights: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Return a MoCo v2 checkpoint whose query encoder has the given weights."""
    layers = {name: tensor for name, tensor in weights.items() if not name.startswith("fc.")}
    projection = {
        f"fc.{layer}.{part}": torch.rand(64, 64) if part == "weight" else torch.rand(64)
        for layer in (0, 2)
        for part in ("weight", "bias")
    }
    state = {
        f"module.encoder_q.{name}": tensor for name, tensor in {**layers, **projection}.items()
    }
    keys = {f"module.encoder_k.{name}": torch.zeros_like(tensor) for name, tensor in layers.items()}
    return {
        "state_dict": {**state, **keys, "module.queue": torch.rand(64, 128)},
        "arch": "resnet20",
        "epoch": 200,
    }


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory, stripes: Path) -> Path:
    """Train a backbone on the stripes dataset, save it as a MoCo checkpoint and return the path."""
    directory = tmp_path_factory.mktemp("teacher")
    weights = load_file(train_stripes_teacher(stripes, directory, "resnet20"))
    path = directory / "moco.pth.tar"
    torch.save(to_moco_checkpoint(weights), path)
    return path


def test_a_student_learns_from_labels_and_the_features_of_such_a_teacher(
    make_spec: MakeSpec, teacher: Path, tmp_path: Path
) -> None:
    spec = make_spec(teacher={"path": teacher}, method={"name": "dlkd"}, training={"epochs": 8})
    report, run_events = run_to_end(spec, tmp_path)
    (verified,) = [event for event in run_events if isinstance(event, events.TeacherVerified)]
    assert (verified.top1, verified.architecture, verified.images) == (None, "resnet20", 60)
    assert verified.knn_top1 is not None
    assert verified.knn_top1 > 0.9
    teacher_metrics, student_metrics = report["metrics"]["teacher"], report["metrics"]["student"]
    assert teacher_metrics["top1"] is None
    assert teacher_metrics["knn_top1"] == verified.knn_top1
    assert report["classifier"] == "trained"
    assert student_metrics["top1"] > 0.8
    assert "knn_top1" not in student_metrics
    assert "agreement" not in student_metrics
    assert any(
        "resnet20 under encoder_q without a classifier" in message and "queue (1)" in message
        for message in notice_messages(run_events)
    )


@pytest.mark.parametrize("method", [{"name": "seed"}, UNSUPERVISED_METHOD, {"name": "compress"}])
def test_without_labels_the_features_are_evaluated_and_the_classifier_counts_as_untrained(
    make_spec: MakeSpec, teacher: Path, tmp_path: Path, method: dict[str, Any]
) -> None:
    formats = ["safetensors", "onnx", "bundle"]
    spec = make_spec(teacher={"path": teacher}, method=method, export=formats)
    report, run_events = run_to_end(spec, tmp_path)
    student = report["metrics"]["student"]
    assert report["classifier"] == "untrained"
    assert (student["top1"], student["confusion"], student["images"]) == (None, None, 60)
    assert student["knn_top1"] > 0.5
    assert UNTRAINED_CLASSIFIER_NOTICE in notice_messages(run_events)
    recorded = [event.values for event in run_events if isinstance(event, events.MetricsRecorded)]
    assert any(values.get("val/knn_top1") for values in recorded)
    assert not any("val/top1" in values for values in recorded)
    files = [event for event in run_events if isinstance(event, events.FileExported)]
    assert [(file.format, file.top1) for file in files] == [(name, None) for name in formats]
    with zipfile.ZipFile(tmp_path / "student.zip") as bundle:
        card = bundle.read("README.md").decode()
    assert UNTRAINED_CLASSIFIER_NOTICE in card
    teacher_top1 = report["metrics"]["teacher"]["knn_top1"]
    assert f"| k-NN top-1 of the features | {teacher_top1:.2%} |" in card
    assert "have no labels" not in card


@pytest.mark.parametrize(
    "method", ["kd", "dkd", "dist", "wttm", "nkd", "mlld", "ofa", "sskd", "srrl"]
)
def test_methods_that_need_logits_are_rejected_with_alternatives(
    make_spec: MakeSpec, teacher: Path, tmp_path: Path, method: str
) -> None:
    with pytest.raises(LogitsNeeded, match=rf"{method} learns from the teacher's logits") as caught:
        list(run(make_spec(teacher={"path": teacher}, method={"name": method}), tmp_path))
    assert (caught.value.code, caught.value.pointer) == ("logits_needed", "/method")
    assert {"seed", "compress", "dlkd", "crd", "rkd", "pkt", "cc"} <= set(
        caught.value.hint.replace(",", "").replace(".", "").split()
    )


@pytest.mark.parametrize(
    "method",
    [
        "crd",
        "rkd",
        "pkt",
        "cc",
        "sp",
        "at",
        "nst",
        "fitnet",
        "vid",
        "ft",
        "ab",
        "reviewkd",
        "dlkd_sup",
    ],
)
def test_methods_that_compare_features_or_feature_maps_work(
    make_spec: MakeSpec, teacher: Path, tmp_path: Path, method: str
) -> None:
    training = {"max_steps": 2}
    spec = make_spec(teacher={"path": teacher}, method={"name": method}, training=training)
    report = run_to_report(spec, tmp_path)
    assert report["metrics"]["teacher"]["knn_top1"] > 0.9


def test_patience_watches_the_features(make_spec: MakeSpec, teacher: Path, tmp_path: Path) -> None:
    training = {"epochs": 30, "patience": 1, "learning_rate": 1e-6}
    spec = make_spec(teacher={"path": teacher}, method={"name": "seed"}, training=training)
    messages = notice_messages(run(spec, tmp_path))
    assert any("val k-NN top-1 has not improved" in message for message in messages)


def test_a_teacher_with_uninformative_features_is_rejected(
    make_spec: MakeSpec, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = build_network("resnet8", 3).module
    torch.nn.init.zeros_(network.get_submodule("conv1").weight)  # all images have the same features
    torch.save(to_moco_checkpoint(dict(network.state_dict())), tmp_path / "blind.pth")
    spec = make_spec(teacher={"path": tmp_path / "blind.pth"}, method={"name": "seed"})
    with pytest.raises(TeacherAtChance, match="nearest neighbors"):
        list(run(spec, tmp_path))


def test_a_class_map_is_rejected(make_spec: MakeSpec, teacher: Path, tmp_path: Path) -> None:
    spec = make_spec(teacher={"path": teacher, "class_map": [0, 1, 2]})
    with pytest.raises(ClassesDoNotFit, match="this teacher has no classifier"):
        list(run(spec, tmp_path))


def test_a_student_without_a_classifier_can_be_a_teacher(
    make_spec: MakeSpec, teacher: Path, tmp_path: Path
) -> None:
    first_spec = make_spec(
        teacher={"path": teacher}, method=UNSUPERVISED_METHOD, training={"epochs": 8}
    )
    run_to_end(first_spec, tmp_path / "first")
    student = {"path": tmp_path / "first" / "student.safetensors", "architecture": "resnet8"}
    second_spec = make_spec(teacher=student, method={"name": "dlkd", "views": "single"})
    report, run_events = run_to_end(second_spec, tmp_path / "second")
    assert report["metrics"]["teacher"]["knn_top1"] > 0.6
    assert report["metrics"]["teacher"].get("top1") is None
    assert any("without a classifier" in message for message in notice_messages(run_events))
