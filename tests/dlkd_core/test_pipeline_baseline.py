"""Tests for runs that also train the student on the labels alone."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dlkd_core import events, pipeline
from dlkd_core.data import open_dataset
from dlkd_core.data.dataset import DatasetSplit
from dlkd_core.errors import SpecError, TrainingDiverged
from dlkd_core.events import CHECKPOINT_FILE, Phase
from dlkd_core.export import ExportContext, Student
from dlkd_core.pipeline import run
from dlkd_core.training.loop import TrainingRun
from tests.dlkd_core.conftest import MakeSpec
from tests.dlkd_core.run_helpers import (
    finished_steps,
    load_student_weights,
    notice_messages,
    run_to_end,
    run_to_report,
    train_stripes_teacher,
)

STEPS = 16  # 2 epochs of 8 batches
TRAINING = {"epochs": 2, "learning_rate": 0.02}


@pytest.fixture(scope="session")
def teacher(tmp_path_factory: pytest.TempPathFactory, stripes: Path) -> Path:
    return train_stripes_teacher(stripes, tmp_path_factory.mktemp("teacher"), "resnet8")


@pytest.fixture
def baseline_weights(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Tensor]]:
    """Collect the weights of each baseline that a run measures."""
    collected: list[dict[str, Tensor]] = []

    def measure(context: ExportContext, baseline: Student, training: TrainingRun) -> Any:
        collected.append(baseline.weights)
        return measure_baseline(context, baseline, training)

    measure_baseline = pipeline.measure_baseline
    monkeypatch.setattr(pipeline, "measure_baseline", measure)
    return collected


def test_the_baseline_is_a_separate_plain_run_bit_for_bit(
    make_spec: MakeSpec,
    teacher: Path,
    tmp_path: Path,
    baseline_weights: list[dict[str, Tensor]],
) -> None:
    # The method has two views of each image and a loss with weights of its own.
    parts = {"teacher": {"path": teacher}, "method": {"name": "dlkd"}, "training": TRAINING}
    without = run_to_report(make_spec(**parts), tmp_path / "without")
    report, run_events = run_to_end(make_spec(**parts, baseline=True), tmp_path / "with")
    plain = run_to_report(make_spec(training=TRAINING), tmp_path / "plain")

    plain_weights = load_student_weights(tmp_path / "plain")
    assert baseline_weights[0].keys() == plain_weights.keys()
    assert all(torch.equal(baseline_weights[0][key], plain_weights[key]) for key in plain_weights)
    student_weights = load_student_weights(tmp_path / "with")
    expected_weights = load_student_weights(tmp_path / "without")
    assert all(torch.equal(student_weights[key], expected_weights[key]) for key in student_weights)

    baseline, student = report["metrics"]["baseline"], report["metrics"]["student"]
    assert baseline["top1"] == plain["metrics"]["student"]["top1"]
    assert baseline["images"] == 60
    assert baseline["gain"] == pytest.approx(student["top1"] - baseline["top1"])
    assert 0 < baseline["gain_interval"] < 0.5
    assert baseline["steps"] == STEPS
    assert baseline["seconds"] > 0
    assert without["metrics"]["baseline"] is plain["metrics"]["baseline"] is None
    assert report["lineage"]["run"] == without["lineage"]["run"]

    phases = [event.phase for event in run_events if isinstance(event, events.PhaseStarted)]
    assert phases == ["reading", "proving", "training", "baseline", "evaluating", "exporting"]
    assert finished_steps(run_events) == 2 * list(range(1, STEPS + 1))
    # Charts and checkpoints are of the student only.
    metrics = [event for event in run_events if isinstance(event, events.MetricsRecorded)]
    assert [event.step for event in metrics if "val/top1" in event.values] == [8, 16]
    checkpoints = [event for event in run_events if isinstance(event, events.CheckpointSaved)]
    assert [event.step for event in checkpoints] == [8, 16]


def stop_in_baseline(spec: Any, directory: Path, step: int) -> None:
    """Run a spec and close the run after a step of the baseline."""
    stopped_run, phase = run(spec, directory), None
    for event in stopped_run:
        if isinstance(event, events.PhaseStarted):
            phase = event.phase
        is_step = isinstance(event, events.StepFinished) and event.step == step
        if is_step and phase == Phase.BASELINE:
            break
    stopped_run.close()


def test_a_run_that_resumes_in_the_baseline_gives_the_same_report(
    make_spec: MakeSpec, teacher: Path, tmp_path: Path
) -> None:
    parts = {"teacher": {"path": teacher}, "method": {"name": "kd"}, "training": TRAINING}
    spec = make_spec(**parts, baseline=True)
    expected = run_to_report(spec, tmp_path / "uninterrupted")["metrics"]
    stop_in_baseline(spec, tmp_path / "stopped", step=11)
    checkpoint = tmp_path / "stopped" / CHECKPOINT_FILE
    resumed = list(run(spec, tmp_path / "resumed", resume_from=checkpoint))
    assert f"Resuming training after step {STEPS} of {STEPS}." in notice_messages(resumed)
    assert finished_steps(resumed) == list(range(1, STEPS + 1))  # all of them in the baseline
    assert isinstance(resumed[-1], events.RunFinished)
    metrics = resumed[-1].report["metrics"]
    for name in ("top1", "gain", "gain_interval", "steps"):
        assert metrics["baseline"][name] == expected["baseline"][name]
    assert metrics["student"]["top1"] == expected["student"]["top1"]


def test_patience_ends_each_of_the_two_trainings(
    make_spec: MakeSpec, teacher: Path, tmp_path: Path
) -> None:
    # The learning rate is too small to change any prediction, so the first evaluation stays best.
    training = {"epochs": 5, "learning_rate": 1e-12, "patience": 1}
    parts = {"teacher": {"path": teacher}, "method": {"name": "kd"}, "training": training}
    report, run_events = run_to_end(make_spec(**parts, baseline=True), tmp_path)
    stops = [text for text in notice_messages(run_events) if "has not improved" in text]
    assert len(stops) == 2
    assert not stops[0].startswith("Baseline: ")
    assert stops[1].startswith("Baseline: Training stopped after step")
    assert report["metrics"]["baseline"]["steps"] < 40


def test_a_baseline_that_diverges_does_not_lose_the_student(
    make_spec: MakeSpec, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(_run: TrainingRun) -> Any:
        raise TrainingDiverged("The loss is not finite since epoch 1, step 1.")
        yield

    monkeypatch.setattr("dlkd_core.training.baseline.train", diverge)
    spec = make_spec(
        teacher={"path": teacher}, method={"name": "kd"}, training={"epochs": 1}, baseline=True
    )
    report, run_events = run_to_end(spec, tmp_path)
    assert report["metrics"]["baseline"] is None
    (warning,) = report["warnings"]
    assert "diverged" in warning
    warnings = [
        event.message
        for event in run_events
        if isinstance(event, events.Notice) and event.level == events.NoticeLevel.WARNING
    ]
    assert warnings == [warning]
    assert (tmp_path / "student.safetensors").exists()


def test_a_baseline_without_labels_is_rejected_before_training(
    make_spec: MakeSpec, teacher: Path, stripes: Path, tmp_path: Path
) -> None:
    data = open_dataset(stripes)
    unlabeled = DatasetSplit(data.train.images, torch.full_like(data.train.labels, -1))
    packed = tmp_path / "unlabeled.safetensors"
    type(data)(unlabeled, data.val, data.classes).save(packed)
    spec = make_spec(
        teacher={"path": teacher},
        dataset={"path": packed},
        method={"name": "kd", "labels": 0},
        baseline=True,
    )
    with pytest.raises(SpecError) as caught:
        list(run(spec, tmp_path / "out"))
    assert caught.value.pointer == "/baseline"


def test_a_teacher_far_below_raw_pixels_is_a_warning_in_the_events_and_the_report(
    make_spec: MakeSpec, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec(teacher={"path": teacher}, method={"name": "kd"}, training={"epochs": 1})
    good = run_to_report(spec, tmp_path / "good")
    assert good["warnings"] == []
    assert 0.3 < good["metrics"]["teacher"]["pixel_knn_top1"] <= 1

    # 2.5 is more than an accuracy can be, so that a perfect teacher is below half of it.
    monkeypatch.setattr("dlkd_core.teachers.verification.measure_pixel_knn_top1", lambda _data: 2.5)
    report, run_events = run_to_end(spec, tmp_path / "bad")
    (warning,) = report["warnings"]
    assert "gets 250.0% without any training" in warning
    (notice,) = [
        event
        for event in run_events
        if isinstance(event, events.Notice) and event.level == events.NoticeLevel.WARNING
    ]
    assert notice.message == warning
    (verified,) = [event for event in run_events if isinstance(event, events.TeacherVerified)]
    assert verified.pixel_knn_top1 == 2.5
