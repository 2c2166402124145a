"""Tests for runs on a dataset with a test split beside its validation split."""

import zipfile
from pathlib import Path

import pytest
import torch

from dlkd_core.data import open_dataset
from dlkd_core.data.inspection import inspect_dataset
from dlkd_core.evaluation import predict
from dlkd_core.export.safetensors_exporter import SafetensorsExporter
from dlkd_core.reporting.model_card import render_model_card
from tests.dlkd_core.conftest import MakeSpec
from tests.dlkd_core.run_helpers import (
    load_student_weights,
    run_to_report,
    train_stripes_teacher,
)

NEXT_CLASS = {"diagonal": "horizontal", "horizontal": "vertical", "vertical": "diagonal"}


@pytest.fixture(scope="module")
def with_test_split(stripes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the stripes dataset with 30 test images, all of which have a wrong label."""
    path = tmp_path_factory.mktemp("test-split") / "stripes.zip"
    with zipfile.ZipFile(stripes) as source, zipfile.ZipFile(path, "w") as archive:
        for name in source.namelist():
            archive.writestr(name, source.read(name))
            split, label, file = name.split("/")
            if split == "val" and int(file[:3]) < 10:
                archive.writestr(f"test/{NEXT_CLASS[label]}/{file}", source.read(name))
    return path


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory, stripes: Path) -> Path:
    """Train a teacher on the stripes dataset and return the path of its weights."""
    return train_stripes_teacher(stripes, tmp_path_factory.mktemp("teacher"), "resnet8")


def test_the_test_split_is_measured_and_changes_nothing_else(
    make_spec: MakeSpec, teacher: Path, stripes: Path, with_test_split: Path, tmp_path: Path
) -> None:
    reports = {
        name: run_to_report(
            make_spec(teacher={"path": teacher}, method={"name": "kd"}, dataset={"path": dataset}),
            tmp_path / name,
        )
        for name, dataset in (("without", stripes), ("with", with_test_split))
    }
    weights = [load_student_weights(tmp_path / name) for name in reports]
    assert all(torch.equal(tensor, weights[1][key]) for key, tensor in weights[0].items())
    without, metrics = (report["metrics"] for report in reports.values())
    assert metrics["student"]["top1"] == without["student"]["top1"] > 0.9
    assert without["test"] is None

    test = metrics["test"]
    split = open_dataset(with_test_split).test
    assert split is not None
    forward = SafetensorsExporter().load(tmp_path / "with" / "student.safetensors")
    correct = predict(forward, split.images).argmax(dim=1) == split.labels
    assert test["student"]["top1"] == correct.double().mean().item() < 0.1
    assert test["teacher"]["top1"] < 0.1
    assert (test["student"]["images"], sum(map(sum, test["student"]["confusion"]))) == (30, 30)
    card = render_model_card(reports["with"], [], "student")
    assert "On the 30 images of the test split" in card
    assert f"student top-1 {test['student']['top1']:.2%}" in card


def test_features_without_a_classifier_are_measured_by_neighbors(
    make_spec: MakeSpec, teacher: Path, with_test_split: Path, tmp_path: Path
) -> None:
    spec = make_spec(
        teacher={"path": teacher}, method={"name": "seed"}, dataset={"path": with_test_split}
    )
    test = run_to_report(spec, tmp_path / "run")["metrics"]["test"]
    assert test["student"]["knn_top1"] < 0.3
    assert test["teacher"] is None


def test_the_report_of_a_check_counts_the_test_images(
    with_test_split: Path, tmp_path: Path
) -> None:
    report = inspect_dataset(with_test_split, tmp_path)
    assert report["splits"] == {"train": 120, "val": 60, "test": 30}
    assert report["class_counts"]["test"] == [10, 10, 10]
    packed = open_dataset(tmp_path / "packed.safetensors").test
    assert packed is not None
    assert packed.labels.tolist() == [0] * 10 + [1] * 10 + [2] * 10


@pytest.mark.parametrize(
    ("folder", "reason"),
    [("test", "its images have no labels"), ("test/other", "no other split has the class 'other'")],
)
def test_a_test_split_that_cannot_be_scored_is_dropped_with_the_reason(
    stripes: Path, tmp_path: Path, folder: str, reason: str
) -> None:
    path = tmp_path / "set.zip"
    path.write_bytes(stripes.read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{folder}/1.png", archive.read("val/vertical/000.png"))
    dataset = open_dataset(path)
    assert dataset.test is None
    assert f"The test split (1 images) is not used: {reason}." in dataset.notices
    assert (len(dataset.train), len(dataset.val)) == (120, 60)
