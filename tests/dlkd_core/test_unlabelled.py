"""Runs over images without labels."""

import re
import zipfile
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from dlkd_core import events
from dlkd_core.catalog import METHODS
from dlkd_core.errors import TeacherAtChance
from dlkd_core.pipeline import run
from dlkd_core.spec import DistillationSpec

from .conftest import MakeSpec

WITHOUT_LABELS = {"labels": 0}


@pytest.fixture(scope="session")
def teacher(tmp_path_factory: pytest.TempPathFactory, stripes: Path) -> Path:
    """A checkpoint that knows the stripes."""
    directory = tmp_path_factory.mktemp("teacher")
    training = {"epochs": 12, "batch_size": 16, "learning_rate": 0.1, "flip": False}
    given = {
        "student": {"architecture": "resnet8"},
        "dataset": {"path": stripes},
        "training": training,
        "export": ["safetensors"],
    }
    assert reported(DistillationSpec.model_validate(given), directory)["metrics"]["student"]["top1"] > 0.9
    return directory / "student.safetensors"


def reported(spec: DistillationSpec, directory: Path) -> dict[str, Any]:
    last = list(run(spec, directory))[-1]
    assert isinstance(last, events.Finished)
    return last.report


def without_labels(stripes: Path, path: Path, splits: tuple[str, ...]) -> Path:
    """The stripes, those of some splits without their class folders."""
    with zipfile.ZipFile(stripes) as labelled, zipfile.ZipFile(path, "w") as archive:
        for name in labelled.namelist():
            split, label, file = name.split("/")
            archive.writestr(f"{split}/{label}-{file}" if split in splits else name, labelled.read(name))
    return path


@pytest.fixture
def half(stripes: Path, tmp_path: Path) -> Path:
    """Training images without labels."""
    return without_labels(stripes, tmp_path / "half.zip", ("train",))


@pytest.fixture
def none(stripes: Path, tmp_path: Path) -> Path:
    """No labels at all."""
    return without_labels(stripes, tmp_path / "none.zip", ("train", "val"))


@pytest.mark.parametrize(("method", "measure"), [("kd", "top1"), ("dlkd", "knn_top1")])  # of its answers; of its features
def test_a_teacher_alone_teaches_images_without_labels(
    make_spec: MakeSpec, teacher: Path, half: Path, tmp_path: Path, method: str, measure: str
) -> None:
    spec = make_spec(
        teacher={"path": teacher}, dataset={"path": half}, method={"name": method, **WITHOUT_LABELS}, training={"epochs": 8}
    )
    metrics = reported(spec, tmp_path)["metrics"]
    assert metrics["teacher"]["top1"] > 0.9
    assert metrics["student"][measure] > 0.8  # three classes


def test_every_other_term_runs_without_labels(make_spec: MakeSpec, teacher: Path, half: Path, tmp_path: Path) -> None:
    for name, kind in METHODS.items():
        method = {"name": name, **({"labels": 0} if "labels" in kind.model_fields else {})}
        if name in {"plain", "combine", "dlkd_sup", "dkd", "crd"}:
            continue
        spec = make_spec(teacher={"path": teacher}, dataset={"path": half}, method=method, training={"max_steps": 2})
        assert reported(spec, tmp_path / name)["metrics"]["student"]["images"] == 60


FORMATS = ["safetensors", "onnx", "onnx_fp16", "onnx_int8", "torch_export", "bundle"]


def test_without_any_label_a_student_is_compared_with_its_teacher_and_published(
    make_spec: MakeSpec, teacher: Path, none: Path, tmp_path: Path
) -> None:
    spec = make_spec(
        teacher={"path": teacher},
        dataset={"path": none},
        method={"name": "kd", **WITHOUT_LABELS},
        export=FORMATS,
        training={"epochs": 8},
    )
    seen = list(run(spec, tmp_path))
    report = seen[-1].report
    assert report["classes"] == ["class_0", "class_1", "class_2"]
    student, taught = report["metrics"]["student"], report["metrics"]["teacher"]
    assert student["agreement"] > 0.8
    assert student["teacher_nll"] < 1.0986  # of answers that say nothing: the logarithm of three
    for metrics in (student, taught):
        assert {metrics[name] for name in ("top1", "top5", "nll", "ece", "per_class", "confusion")} == {None}
        assert metrics["images"] == 60
    (proved,) = (event for event in seen if isinstance(event, events.TeacherProved))
    assert (proved.top1, proved.images) == (None, 60)
    assert any("cannot be measured" in event.message for event in seen if isinstance(event, events.Noticed))
    files = [event for event in seen if isinstance(event, events.FileExported)]
    assert [(file.format, file.top1) for file in files] == [(name, None) for name in FORMATS]
    series = [event.values for event in seen if isinstance(event, events.Measured) and "val/agreement" in event.values]
    assert series[-1].keys() == {"val/agreement", "val/teacher_nll"}
    with zipfile.ZipFile(tmp_path / "student.zip") as bundle:
        card = bundle.read("README.md").decode()
    assert re.search(r'"type": "agreement", "name": "agreement with the teacher", "value": [01]\.\d+', card)
    assert "| top-1 |  |  |" in card
    assert "no labels" in card


def test_a_val_split_is_made_of_images_without_labels(make_spec: MakeSpec, teacher: Path, none: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(none) as every, zipfile.ZipFile(tmp_path / "train.zip", "w") as archive:
        for name in every.namelist():
            if name.startswith("train"):
                archive.writestr(name, every.read(name))
    method = {"name": "seed"}
    spec = make_spec(teacher={"path": teacher}, dataset={"path": tmp_path / "train.zip"}, method=method, training={"epochs": 1})
    assert reported(spec, tmp_path)["metrics"]["student"]["images"] == 12


def test_patience_without_labels_waits_for_the_agreement(make_spec: MakeSpec, teacher: Path, none: Path, tmp_path: Path) -> None:
    training = {"epochs": 20, "patience": 1, "learning_rate": 1e-9}
    method = {"name": "kd", **WITHOUT_LABELS}
    seen = list(run(make_spec(teacher={"path": teacher}, dataset={"path": none}, method=method, training=training), tmp_path))
    messages = [event.message for event in seen if isinstance(event, events.Noticed)]
    assert any("the agreement with the teacher has not risen" in message for message in messages)


def changed(teacher: Path, path: Path, shape: tuple[int, ...], value: float) -> Path:
    """The teacher with a part of its classifier filled with a value that answers one class, or overflows."""
    with safe_open(teacher, framework="pt") as file:
        facts = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    key = next(key for key, tensor in tensors.items() if tensor.shape == shape)
    tensors[key] = torch.zeros(shape)
    tensors[key][0] = value
    save_file(tensors, path, facts)
    return path


CLASSIFIERS: dict[str, tuple[tuple[int, ...], float]] = {
    "class 0 for each": ((3,), 1e6),
    "no finite numbers": ((3, 64), 3e38),
}


@pytest.mark.parametrize("words", CLASSIFIERS)
def test_a_teacher_that_says_nothing_is_refused(
    make_spec: MakeSpec, teacher: Path, none: Path, tmp_path: Path, words: str
) -> None:
    path = changed(teacher, tmp_path / "changed.safetensors", *CLASSIFIERS[words])
    method = {"name": "kd", **WITHOUT_LABELS}
    with pytest.raises(TeacherAtChance, match=words):
        list(run(make_spec(teacher={"path": path}, dataset={"path": none}, method=method), tmp_path))


def test_the_size_and_its_policy_reach_the_student_and_its_files(make_spec: MakeSpec, stripes: Path, tmp_path: Path) -> None:
    spec = make_spec(
        dataset={"path": stripes, "image_size": 12, "resize": "pad"}, export=["onnx", "bundle"], training={"max_steps": 2}
    )
    report = reported(spec, tmp_path)
    assert report["image"] == {"channels": 3, "height": 12, "width": 12, "resize": "pad"}
    graph = onnx.load(tmp_path / "student.onnx")
    assert [side.dim_value for side in graph.graph.input[0].type.tensor_type.shape.dim[1:]] == [3, 12, 12]
    assert {entry.key: entry.value for entry in graph.metadata_props}["resize"] == "pad"
    with zipfile.ZipFile(tmp_path / "student.zip") as bundle:
        assert "ImageOps.pad(image, (12, 12)" in bundle.read("README.md").decode()
