"""Tests for runs on images without labels."""

import re
import zipfile
from pathlib import Path

import onnx
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from dlkd_core import events
from dlkd_core.catalog import METHODS
from dlkd_core.errors import TeacherAtChance
from dlkd_core.pipeline import run
from tests.dlkd_core.conftest import MakeSpec
from tests.dlkd_core.run_helpers import (
    notice_messages,
    run_to_end,
    run_to_report,
    train_stripes_teacher,
)

NO_LABEL_TERM = {"labels": 0}


@pytest.fixture(scope="session")
def teacher(tmp_path_factory: pytest.TempPathFactory, stripes: Path) -> Path:
    """Train a teacher on the stripes dataset and return the path of its weights."""
    return train_stripes_teacher(stripes, tmp_path_factory.mktemp("teacher"), "resnet8")


def remove_labels(stripes: Path, path: Path, splits: tuple[str, ...]) -> Path:
    """Write a copy of the stripes dataset without class folders in the given splits."""
    with zipfile.ZipFile(stripes) as labeled, zipfile.ZipFile(path, "w") as archive:
        for name in labeled.namelist():
            split, label, file = name.split("/")
            new_name = f"{split}/{label}-{file}" if split in splits else name
            archive.writestr(new_name, labeled.read(name))
    return path


@pytest.fixture
def half_labeled(stripes: Path, tmp_path: Path) -> Path:
    """Return a copy of the stripes dataset that has labels only in the val split."""
    return remove_labels(stripes, tmp_path / "half.zip", ("train",))


@pytest.fixture
def unlabeled(stripes: Path, tmp_path: Path) -> Path:
    """Return a copy of the stripes dataset without labels."""
    return remove_labels(stripes, tmp_path / "none.zip", ("train", "val"))


# kd trains the student's classifier, while dlkd trains only its features
@pytest.mark.parametrize(("method", "metric"), [("kd", "top1"), ("dlkd", "knn_top1")])
def test_a_student_learns_from_a_teacher_on_images_without_labels(
    make_spec: MakeSpec,
    teacher: Path,
    half_labeled: Path,
    tmp_path: Path,
    method: str,
    metric: str,
) -> None:
    spec = make_spec(
        teacher={"path": teacher},
        dataset={"path": half_labeled},
        method={"name": method, **NO_LABEL_TERM},
        training={"epochs": 8},
    )
    metrics = run_to_report(spec, tmp_path)["metrics"]
    assert metrics["teacher"]["top1"] > 0.9
    assert metrics["student"][metric] > 0.8  # chance is 1/3


def test_every_method_that_needs_no_labels_runs_without_them(
    make_spec: MakeSpec, teacher: Path, half_labeled: Path, tmp_path: Path
) -> None:
    for name, method_class in METHODS.items():
        if name in {"plain", "combine", "dlkd_sup", "dkd", "nkd", "ofa", "crd"}:
            continue
        method = {"name": name, **(NO_LABEL_TERM if "labels" in method_class.model_fields else {})}
        spec = make_spec(
            teacher={"path": teacher},
            dataset={"path": half_labeled},
            method=method,
            training={"max_steps": 2},
        )
        assert run_to_report(spec, tmp_path / name)["metrics"]["student"]["images"] == 60


ALL_FORMATS = ["safetensors", "onnx", "onnx_fp16", "onnx_int8", "torch_export", "bundle"]


def test_without_labels_the_student_is_compared_with_its_teacher_and_exported(
    make_spec: MakeSpec, teacher: Path, unlabeled: Path, tmp_path: Path
) -> None:
    spec = make_spec(
        teacher={"path": teacher},
        dataset={"path": unlabeled},
        method={"name": "kd", **NO_LABEL_TERM},
        export=ALL_FORMATS,
        training={"epochs": 8},
    )
    report, run_events = run_to_end(spec, tmp_path)
    assert report["classes"] == ["class_0", "class_1", "class_2"]
    assert report["label_errors"] is None
    student, teacher_metrics = report["metrics"]["student"], report["metrics"]["teacher"]
    assert student["agreement"] > 0.8
    assert student["teacher_nll"] < 1.0986  # log(3), the loss of uniform predictions
    label_metrics = ("top1", "top5", "nll", "ece", "per_class", "confusion")
    for metrics in (student, teacher_metrics):
        assert {metrics[name] for name in label_metrics} == {None}
        assert metrics["images"] == 60
    (verified,) = (event for event in run_events if isinstance(event, events.TeacherVerified))
    assert (verified.top1, verified.images) == (None, 60)
    assert any("cannot be measured" in message for message in notice_messages(run_events))
    files = [event for event in run_events if isinstance(event, events.FileExported)]
    assert [(file.format, file.top1) for file in files] == [(name, None) for name in ALL_FORMATS]
    evaluations = [
        event.values
        for event in run_events
        if isinstance(event, events.MetricsRecorded) and "val/agreement" in event.values
    ]
    assert evaluations[-1].keys() == {"val/agreement", "val/teacher_nll"}
    with zipfile.ZipFile(tmp_path / "student.zip") as bundle:
        card = bundle.read("README.md").decode()
    assert re.search(
        r'"type": "agreement", "name": "agreement with the teacher", "value": [01]\.\d+', card
    )
    assert "| top-1 |  |  |" in card
    assert "no labels" in card


def test_a_missing_val_split_is_split_off_images_without_labels(
    make_spec: MakeSpec, teacher: Path, unlabeled: Path, tmp_path: Path
) -> None:
    with (
        zipfile.ZipFile(unlabeled) as all_images,
        zipfile.ZipFile(tmp_path / "train.zip", "w") as archive,
    ):
        for name in all_images.namelist():
            if name.startswith("train"):
                archive.writestr(name, all_images.read(name))
    method = {"name": "seed"}
    spec = make_spec(
        teacher={"path": teacher},
        dataset={"path": tmp_path / "train.zip"},
        method=method,
        training={"epochs": 1},
    )
    assert run_to_report(spec, tmp_path)["metrics"]["student"]["images"] == 12


def test_patience_without_labels_watches_the_agreement(
    make_spec: MakeSpec, teacher: Path, unlabeled: Path, tmp_path: Path
) -> None:
    training = {"epochs": 20, "patience": 1, "learning_rate": 1e-9}
    method = {"name": "kd", **NO_LABEL_TERM}
    spec = make_spec(
        teacher={"path": teacher}, dataset={"path": unlabeled}, method=method, training=training
    )
    messages = notice_messages(run(spec, tmp_path))
    assert any("the agreement with the teacher has not improved" in text for text in messages)


def change_weights(teacher: Path, path: Path, shape: tuple[int, ...], value: float) -> Path:
    """Write a copy of the teacher in which one classifier tensor is replaced.

    The tensor with the given shape gets `value` at index 0 and zeros elsewhere. Depending on the
    value, the teacher then predicts the same class for all images, or its logits are not finite.
    """
    with safe_open(teacher, framework="pt") as file:
        metadata = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    key = next(key for key, tensor in tensors.items() if tensor.shape == shape)
    tensors[key] = torch.zeros(shape)
    tensors[key][0] = value
    save_file(tensors, path, metadata)
    return path


CLASSIFIERS: dict[str, tuple[tuple[int, ...], float]] = {
    "class 0 for each": ((3,), 1e6),
    "not finite numbers": ((3, 64), 3e38),
}


@pytest.mark.parametrize("message", CLASSIFIERS)
def test_a_teacher_with_uninformative_predictions_is_rejected(
    make_spec: MakeSpec, teacher: Path, unlabeled: Path, tmp_path: Path, message: str
) -> None:
    path = change_weights(teacher, tmp_path / "changed.safetensors", *CLASSIFIERS[message])
    method = {"name": "kd", **NO_LABEL_TERM}
    spec = make_spec(teacher={"path": path}, dataset={"path": unlabeled}, method=method)
    with pytest.raises(TeacherAtChance, match=message):
        list(run(spec, tmp_path))


def test_image_size_and_resize_mode_reach_the_student_and_its_files(
    make_spec: MakeSpec, stripes: Path, tmp_path: Path
) -> None:
    spec = make_spec(
        dataset={"path": stripes, "image_size": 12, "resize": "pad"},
        export=["onnx", "bundle"],
        training={"max_steps": 2},
    )
    report = run_to_report(spec, tmp_path)
    assert report["image"] == {"channels": 3, "height": 12, "width": 12, "resize": "pad"}
    graph = onnx.load(tmp_path / "student.onnx")
    shape = graph.graph.input[0].type.tensor_type.shape
    assert [dimension.dim_value for dimension in shape.dim[1:]] == [3, 12, 12]
    assert {entry.key: entry.value for entry in graph.metadata_props}["resize"] == "pad"
    with zipfile.ZipFile(tmp_path / "student.zip") as bundle:
        assert "ImageOps.pad(image, (12, 12)" in bundle.read("README.md").decode()
