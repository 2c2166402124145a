"""Runs in which a network has no trained classifier: the teacher, the student, or both."""

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from dlkd_core import events
from dlkd_core.card import UNTRAINED
from dlkd_core.errors import ClassesDoNotFit, LogitsNeeded, TeacherAtChance
from dlkd_core.models import build
from dlkd_core.pipeline import run
from dlkd_core.spec import DistillationSpec

from .conftest import MakeSpec

UNSUPERVISED = {"name": "dlkd", "labels": 0}


def finished(spec: DistillationSpec, directory: Path) -> tuple[dict[str, Any], list[events.Event]]:
    seen = list(run(spec, directory))
    last = seen[-1]
    assert isinstance(last, events.Finished)
    return last.report, seen


def moco(weights: dict[str, torch.Tensor]) -> dict[str, Any]:
    """A checkpoint of MoCo v2: the encoder without its classifier, a projection, a key encoder and a queue."""
    layers = {name: tensor for name, tensor in weights.items() if not name.startswith("fc.")}
    projection = {
        f"fc.{layer}.{part}": torch.rand(64, 64) if part == "weight" else torch.rand(64)
        for layer in (0, 2)
        for part in ("weight", "bias")
    }
    state = {f"module.encoder_q.{name}": tensor for name, tensor in {**layers, **projection}.items()}
    keys = {f"module.encoder_k.{name}": torch.zeros_like(tensor) for name, tensor in layers.items()}
    return {"state_dict": {**state, **keys, "module.queue": torch.rand(64, 128)}, "arch": "resnet20", "epoch": 200}


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory, stripes: Path) -> Path:
    """Features that know the stripes, in MoCo's layout."""
    directory = tmp_path_factory.mktemp("teacher")
    training = {"epochs": 12, "batch_size": 16, "learning_rate": 0.1, "flip": False}
    spec = {
        "student": {"architecture": "resnet20"},
        "dataset": {"path": stripes},
        "training": training,
        "export": ["safetensors"],
    }
    finished(DistillationSpec.model_validate(spec), directory)
    path = directory / "moco.pth.tar"
    torch.save(moco(load_file(directory / "student.safetensors")), path)
    return path


def test_a_student_learns_from_labels_and_such_a_teachers_features(make_spec: MakeSpec, teacher: Path, tmp_path: Path) -> None:
    report, seen = finished(make_spec(teacher={"path": teacher}, method={"name": "dlkd"}, training={"epochs": 8}), tmp_path)
    (proved,) = [event for event in seen if isinstance(event, events.TeacherProved)]
    assert (proved.top1, proved.architecture, proved.images) == (None, "resnet20", 60)
    assert proved.knn_top1 is not None
    assert proved.knn_top1 > 0.9
    shown = report["metrics"]
    assert (shown["teacher"]["top1"], shown["teacher"]["knn_top1"]) == (None, proved.knn_top1)
    assert report["classifier"] == "trained"
    assert shown["student"]["top1"] > 0.8
    assert "knn_top1" not in shown["student"]
    assert "agreement" not in shown["student"]
    notices = [event.message for event in seen if isinstance(event, events.Noticed)]
    assert any("resnet20 under encoder_q, without a classifier" in notice and "queue (1)" in notice for notice in notices)


@pytest.mark.parametrize("method", [{"name": "seed"}, UNSUPERVISED, {"name": "compress"}])
def test_without_labels_the_features_are_judged_and_the_classifier_is_said_to_be_untrained(
    make_spec: MakeSpec, teacher: Path, tmp_path: Path, method: dict[str, Any]
) -> None:
    formats = ["safetensors", "onnx", "bundle"]
    report, seen = finished(make_spec(teacher={"path": teacher}, method=method, export=formats), tmp_path)
    student = report["metrics"]["student"]
    assert (report["classifier"], student["top1"], student["confusion"], student["images"]) == ("untrained", None, None, 60)
    assert student["knn_top1"] > 0.5
    assert events.Noticed(message=UNTRAINED) in seen
    measured = [event.values for event in seen if isinstance(event, events.Measured)]
    assert any(values.get("val/knn_top1") for values in measured)
    assert not any("val/top1" in values for values in measured)
    files = [event for event in seen if isinstance(event, events.FileExported)]
    assert [(file.format, file.top1) for file in files] == [(name, None) for name in formats]
    with zipfile.ZipFile(tmp_path / "student.zip") as bundle:
        card = bundle.read("README.md").decode()
    assert UNTRAINED in card
    assert f"| top-1 of the features by nearest neighbours | {report['metrics']['teacher']['knn_top1']:.2%} |" in card
    assert "have no labels" not in card


@pytest.mark.parametrize("method", ["kd", "dkd", "dist", "sskd", "srrl"])
def test_methods_of_logits_are_refused_with_those_that_work(
    make_spec: MakeSpec, teacher: Path, tmp_path: Path, method: str
) -> None:
    with pytest.raises(LogitsNeeded, match=rf"{method} learns from the teacher's logits") as caught:
        list(run(make_spec(teacher={"path": teacher}, method={"name": method}), tmp_path))
    assert (caught.value.code, caught.value.pointer) == ("logits_needed", "/method")
    assert {"seed", "compress", "dlkd", "crd", "rkd", "pkt", "cc"} <= set(
        caught.value.hint.replace(",", "").replace(".", "").split()
    )


@pytest.mark.parametrize(
    "method", ["crd", "rkd", "pkt", "cc", "sp", "at", "nst", "fitnet", "vid", "ft", "ab", "reviewkd", "dlkd_sup"]
)
def test_methods_of_features_and_maps_work(make_spec: MakeSpec, teacher: Path, tmp_path: Path, method: str) -> None:
    training = {"max_steps": 2}
    report, _ = finished(make_spec(teacher={"path": teacher}, method={"name": method}, training=training), tmp_path)
    assert report["metrics"]["teacher"]["knn_top1"] > 0.9


def test_a_patient_run_waits_for_the_features(make_spec: MakeSpec, teacher: Path, tmp_path: Path) -> None:
    training = {"epochs": 30, "patience": 1, "learning_rate": 1e-6}
    _, seen = finished(make_spec(teacher={"path": teacher}, method={"name": "seed"}, training=training), tmp_path)
    notices = [event.message for event in seen if isinstance(event, events.Noticed)]
    assert any("val top-1 by nearest neighbours has not risen" in notice for notice in notices)


def test_features_that_know_nothing_end_the_job(make_spec: MakeSpec, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build("resnet8", 3).module
    torch.nn.init.zeros_(network.get_submodule("conv1").weight)  # every image looks the same
    torch.save(moco(dict(network.state_dict())), tmp_path / "blind.pth")
    with pytest.raises(TeacherAtChance, match="nearest neighbours"):
        list(run(make_spec(teacher={"path": tmp_path / "blind.pth"}, method={"name": "seed"}), tmp_path))


def test_a_class_map_has_nothing_to_map(make_spec: MakeSpec, teacher: Path, tmp_path: Path) -> None:
    with pytest.raises(ClassesDoNotFit, match="it has none"):
        list(run(make_spec(teacher={"path": teacher, "class_map": [0, 1, 2]}), tmp_path))


def test_a_student_without_a_classifier_teaches_by_its_features(make_spec: MakeSpec, teacher: Path, tmp_path: Path) -> None:
    finished(make_spec(teacher={"path": teacher}, method=UNSUPERVISED, training={"epochs": 8}), tmp_path / "first")
    told = {"path": tmp_path / "first" / "student.safetensors", "architecture": "resnet8"}
    report, seen = finished(make_spec(teacher=told, method={"name": "dlkd", "views": "single"}), tmp_path / "second")
    assert report["metrics"]["teacher"]["knn_top1"] > 0.6
    assert report["metrics"]["teacher"].get("top1") is None
    assert any("without a classifier" in event.message for event in seen if isinstance(event, events.Noticed))
