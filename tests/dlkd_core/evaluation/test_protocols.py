"""Tests that perform whole runs and evaluate student and teacher, also on other datasets."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dlkd_client.local.digits_dataset import write_digits
from dlkd_core.data.dataset import DatasetSplit, ImageDataset
from dlkd_core.errors import DatasetError, ImagesDoNotFit, SpecError
from dlkd_core.evaluation import protocols
from dlkd_core.events import CHECKPOINT_FILE, RunFinished
from dlkd_core.pipeline import run
from dlkd_core.spec import DistillationSpec, JobSpec

SPLITS = ("train", "val")
BOTH_PROTOCOLS = [{"name": "knn", "k": 5}, {"name": "linear_probe"}]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_digits(tmp_path_factory.mktemp("digits") / "digits.zip")


def run_to_report(
    folder: Path, dataset: Path, *, resume_from: Path | None = None, **changes: Any
) -> dict[str, Any]:
    """Perform a short run and return its report. Keyword arguments replace parts of the spec."""
    training = {
        "epochs": 3,
        "batch_size": 32,
        "learning_rate": 0.1,
        "flip": False,
        **changes.pop("training", {}),
    }
    base = {
        "student": {"architecture": "resnet8"},
        "dataset": {"path": dataset},
        "export": ["safetensors"],
        "training": training,
    }
    last = list(
        run(DistillationSpec.model_validate({**base, **changes}), folder, resume_from=resume_from)
    )[-1]
    assert isinstance(last, RunFinished)
    return last.report


def read_top1(metrics: dict[str, Any]) -> dict[str, float]:
    return {entry["name"]: entry["top1"] for entry in metrics["protocols"]}


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory, stripes: Path, digits: Path
) -> tuple[Path, dict[str, Any]]:
    """Train a student on the digits, run all protocols, and return the folder and the report."""
    folder = tmp_path_factory.mktemp("trained")
    return folder, run_to_report(
        folder,
        digits,
        evaluation=[*BOTH_PROTOCOLS, {"name": "transfer", "dataset": {"path": stripes}}],
    )


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> dict[str, Any]:
    """Return the report of a student that was trained for one step, at a tiny learning rate."""
    training = {"max_steps": 1, "learning_rate": 1e-12}
    return run_to_report(
        tmp_path_factory.mktemp("untrained"), digits, training=training, evaluation=BOTH_PROTOCOLS
    )


def test_a_trained_students_features_are_clearly_better(
    trained: tuple[Path, dict[str, Any]], untrained: dict[str, Any]
) -> None:
    after, before = (read_top1(report["metrics"]["student"]) for report in (trained[1], untrained))
    assert min(after["knn"], after["linear_probe"]) > 0.95
    assert max(before["knn"], before["linear_probe"]) < 0.92


def test_results_are_in_the_specs_order_with_parameters_and_without_paths(
    trained: tuple[Path, dict[str, Any]],
) -> None:
    entries = trained[1]["metrics"]["student"]["protocols"]
    assert [entry["name"] for entry in entries] == ["knn", "linear_probe", "transfer"]
    assert entries[0] == {"name": "knn", "k": 5, "temperature": 0.07, "top1": entries[0]["top1"]}
    assert entries[1]["converged"]
    assert entries[2]["dataset"] == "stripes.zip"
    assert json.loads(json.dumps(entries)) == entries


def test_features_of_digits_transfer_to_stripes(
    trained: tuple[Path, dict[str, Any]],
) -> None:
    assert read_top1(trained[1]["metrics"]["student"])["transfer"] > 0.8  # chance is 1/3


def test_a_teacher_and_a_student_trained_without_labels_are_evaluated(
    tmp_path: Path, trained: tuple[Path, dict[str, Any]], digits: Path
) -> None:
    changes = {
        "teacher": {"path": trained[0] / "student.safetensors"},
        "method": {"name": "compress"},
    }
    metrics = run_to_report(
        tmp_path, digits, evaluation=BOTH_PROTOCOLS, training={"max_steps": 2}, **changes
    )["metrics"]
    own = read_top1(trained[1]["metrics"]["student"])
    assert read_top1(metrics["teacher"]) == pytest.approx(
        {name: own[name] for name in ("knn", "linear_probe")}, abs=0.02
    )
    assert read_top1(metrics["student"]).keys() == {"knn", "linear_probe"}


def test_protocols_do_not_affect_the_run_digest_and_default_to_none(
    tmp_path: Path, trained: tuple[Path, dict[str, Any]], digits: Path
) -> None:
    again = run_to_report(tmp_path, digits, resume_from=trained[0] / CHECKPOINT_FILE)
    assert again["lineage"]["run"] == trained[1]["lineage"]["run"]
    assert again["metrics"]["student"]["protocols"] == []


def test_protocols_that_cannot_run_are_refused_before_training(
    tmp_path: Path, stripes: Path
) -> None:
    with pytest.raises(SpecError, match=r"none\.zip does not exist") as caught:
        run_to_report(
            tmp_path,
            stripes,
            evaluation=[
                {"name": "knn"},
                {"name": "transfer", "dataset": {"path": tmp_path / "none.zip"}},
            ],
        )
    assert caught.value.pointer == "/evaluation/1/dataset/path"
    (tmp_path / "broken.zip").write_text("no zip")
    with pytest.raises(DatasetError):
        run_to_report(
            tmp_path / "out",
            stripes,
            evaluation=[{"name": "transfer", "dataset": {"path": tmp_path / "broken.zip"}}],
        )
    assert not (tmp_path / "out" / CHECKPOINT_FILE).exists()
    five_channels = {f"{split}_images": np.zeros((4, 8, 8, 5), np.uint8) for split in SPLITS}
    labels = {f"{split}_labels": np.arange(4) % 2 for split in SPLITS}
    np.savez(tmp_path / "five.npz", **five_channels, **labels)
    with pytest.raises(ImagesDoNotFit, match="5 channels"):
        run_to_report(
            tmp_path / "out",
            stripes,
            evaluation=[{"name": "transfer", "dataset": {"path": tmp_path / "five.npz"}}],
        )
    assert not (tmp_path / "out" / CHECKPOINT_FILE).exists()
    images = torch.zeros(4, 3, 8, 8, dtype=torch.uint8)
    unlabeled, labeled = (DatasetSplit(images, torch.full((4,), label)) for label in (-1, 0))
    spec = DistillationSpec.model_validate(
        {
            "student": {"architecture": "resnet8"},
            "dataset": {"path": stripes},
            "evaluation": [{"name": "knn"}],
        }
    )
    for train, val in ((unlabeled, labeled), (labeled, unlabeled)):
        with pytest.raises(SpecError, match="images with labels"):
            protocols.check_protocols(spec.evaluation, ImageDataset(train, val, ("a",)))


def test_a_client_can_request_protocols_but_not_paths() -> None:
    base = {"student": {"architecture": "resnet8"}, "dataset": {"id": "dataset_1"}}
    requested = [*BOTH_PROTOCOLS, {"name": "transfer", "dataset": {"id": "dataset_2"}}]
    assert len(JobSpec.model_validate({**base, "evaluation": requested}).evaluation) == 3
    with pytest.raises(ValueError, match="transfer"):
        JobSpec.model_validate(
            {**base, "evaluation": [{"name": "transfer", "dataset": {"path": "/etc"}}]}
        )
