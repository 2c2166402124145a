"""Tests for whole runs on images that a small network learns in seconds."""

import json
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

from dlkd_core import events
from dlkd_core.catalog import METHODS
from dlkd_core.data import open_dataset
from dlkd_core.errors import CheckpointCorrupt, ClassesDoNotFit, TeacherAtChance, TrainingDiverged
from dlkd_core.events import CHECKPOINT_FILE
from dlkd_core.pipeline import run
from tests.dlkd_core.conftest import MakeSpec
from tests.dlkd_core.run_helpers import (
    finished_steps,
    load_student_weights,
    notice_messages,
    run_to_end,
    run_to_report,
    train_stripes_teacher,
)


@pytest.fixture(scope="session")
def teacher(tmp_path_factory: pytest.TempPathFactory, stripes: Path) -> Path:
    """Train a teacher on the stripes dataset and return the path of its weights."""
    return train_stripes_teacher(stripes, tmp_path_factory.mktemp("teacher"), "resnet20")


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"plain"}))
def test_every_method_distills_a_teacher_and_measures_the_student(
    make_spec: MakeSpec, teacher: Path, tmp_path: Path, method: str
) -> None:
    spec = make_spec(teacher={"path": teacher}, method={"name": method})
    report = run_to_report(spec, tmp_path)
    assert report["metrics"]["teacher"]["top1"] > 0.9
    assert report["metrics"]["teacher"]["architecture"] == "resnet20"
    assert report["metrics"]["student"]["images"] == 60
    assert report["parameters"] < report["metrics"]["teacher"]["parameters"]
    assert report["metrics"]["student"]["latency_ms"] > 0


def test_mislabeled_evaluation_images_are_reported_by_name(
    make_spec: MakeSpec, teacher: Path, stripes: Path, tmp_path: Path
) -> None:
    with ZipFile(stripes) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    moved = files.pop("val/diagonal/007.png")
    files["val/horizontal/moved.png"] = moved
    with ZipFile(tmp_path / "mislabeled.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    spec = make_spec(
        teacher={"path": teacher},
        dataset={"path": tmp_path / "mislabeled.zip"},
        method={"name": "kd"},
        training={"epochs": 1},
    )
    found = run_to_report(spec, tmp_path / "out")["label_errors"]
    assert found["images"] == 60
    first = found["examples"][0]
    assert (first["name"], first["index"]) == ("val/horizontal/moved.png", 39)
    assert (first["label"], first["suggested_label"]) == (1, 0)
    assert first["confidence"] < 0.1 < first["suggested_confidence"]


def test_events_report_phases_steps_and_metrics_in_order(
    make_spec: MakeSpec, teacher: Path, tmp_path: Path
) -> None:
    spec = make_spec(teacher={"path": teacher}, method={"name": "kd"})
    _, run_events = run_to_end(spec, tmp_path)
    phases = [event.phase for event in run_events if isinstance(event, events.PhaseStarted)]
    assert phases == ["reading", "proving", "training", "evaluating", "exporting"]
    steps = [event for event in run_events if isinstance(event, events.StepFinished)]
    # 120 images make 8 batches per epoch, and there are 4 epochs.
    assert [event.step for event in steps] == list(range(1, 33))
    assert steps[-1].epoch == steps[-1].epochs == 4
    metrics = [event for event in run_events if isinstance(event, events.MetricsRecorded)]
    names = {name for event in metrics for name in event.values}
    assert names == {
        "train/loss",
        "train/labels",
        "train/kd",
        "learning_rate",
        "val/top1",
        "val/top5",
        "val/nll",
    }


def test_every_event_survives_a_round_trip_through_json(
    make_spec: MakeSpec, tmp_path: Path
) -> None:
    for event in run_to_end(make_spec(training={"epochs": 1}), tmp_path)[1]:
        assert events.event_adapter.validate_json(event.model_dump_json()) == event


def test_the_onnx_file_has_the_accuracy_of_the_report(
    make_spec: MakeSpec, stripes: Path, tmp_path: Path
) -> None:
    training = {"epochs": 2, "learning_rate": 0.01}
    spec = make_spec(export=["safetensors", "onnx"], training=training)
    report, run_events = run_to_end(spec, tmp_path)
    files = {event.format: event for event in run_events if isinstance(event, events.FileExported)}
    session = onnxruntime.InferenceSession(tmp_path / "student.onnx")
    val = open_dataset(stripes).val
    for size in (1, 60):  # the batch dimension is dynamic
        image = (val.images[:size].numpy() / np.float32(255)).astype(np.float32)
        (logits,) = session.run(["logits"], {"image": image})
        assert logits.shape == (size, 3)
    top1 = (logits.argmax(1) == val.labels.numpy()).mean()
    assert files["onnx"].top1 == files["safetensors"].top1 == pytest.approx(top1)
    assert report["metrics"]["student"]["top1"] == pytest.approx(top1)
    evaluations = [
        event.values["val/top1"]
        for event in run_events
        if isinstance(event, events.MetricsRecorded) and "val/top1" in event.values
    ]
    assert evaluations[-1] == top1
    assert top1 < 1  # a perfect accuracy would make the comparison meaningless
    graph = onnx.load(tmp_path / "student.onnx")
    metadata = {entry.key: entry.value for entry in graph.metadata_props}
    assert json.loads(metadata["classes"]) == ["diagonal", "horizontal", "vertical"]


@pytest.mark.parametrize("stop_after", [3, 8, 19], ids=["mid-epoch", "between epochs", "later"])
def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(
    make_spec: MakeSpec, teacher: Path, tmp_path: Path, stop_after: int
) -> None:
    spec = make_spec(teacher={"path": teacher}, method={"name": "dlkd"}, training={"epochs": 3})
    run_to_end(spec, tmp_path / "uninterrupted")
    stopped_run = run(spec, tmp_path / "stopped")
    for event in stopped_run:
        if isinstance(event, events.StepFinished) and event.step == stop_after:
            break
    stopped_run.close()
    checkpoint = tmp_path / "stopped" / CHECKPOINT_FILE
    resumed_run = run(spec, tmp_path / "resumed", resume_from=checkpoint)
    assert finished_steps(resumed_run) == list(range(stop_after + 1, 25))
    expected = load_student_weights(tmp_path / "uninterrupted")
    resumed = load_student_weights(tmp_path / "resumed")
    assert all(torch.equal(value, expected[key]) for key, value in resumed.items())


def test_a_checkpoint_of_another_run_is_rejected(make_spec: MakeSpec, tmp_path: Path) -> None:
    run_to_end(make_spec(training={"epochs": 1}), tmp_path / "one")
    spec = make_spec(training={"epochs": 1, "seed": 5})
    with pytest.raises(CheckpointCorrupt, match="another run"):
        list(run(spec, tmp_path / "two", resume_from=tmp_path / "one" / CHECKPOINT_FILE))


def test_another_seed_gives_other_weights_and_the_same_seed_the_same(
    make_spec: MakeSpec, tmp_path: Path
) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run_to_end(make_spec(training={"epochs": 1, "seed": seed}), tmp_path / name)
    a, b, c = (load_student_weights(tmp_path / name)["fc.weight"] for name in "abc")
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_a_loss_that_is_not_finite_ends_the_run_with_its_epoch(
    make_spec: MakeSpec, tmp_path: Path
) -> None:
    spec = make_spec(training={"learning_rate": 100.0, "weight_decay": 1.0, "epochs": 30})
    with pytest.raises(TrainingDiverged, match=r"in epoch \d+, step \d+"):
        list(run(spec, tmp_path))


def test_every_recipe_option_changes_the_first_step(make_spec: MakeSpec, tmp_path: Path) -> None:
    recipes: dict[str, dict[str, object]] = {
        "usual": {},
        "smoothed": {"label_smoothing": 0.1},
        "mixup": {"mixup": 1.0},
        "cutmix": {"cutmix": 1.0},
        "policy": {"augmentation_policy": "randaugment"},
        "unflipped": {"flip": False},
        "padded": {"crop_padding": 0},
    }
    losses = {}
    for name, recipe in recipes.items():
        training = {"epochs": 1, "max_steps": 1, "batch_size": 16, "flip": True, **recipe}
        spec = make_spec(teacher=None, method={"name": "plain"}, training=training)
        _, run_events = run_to_end(spec, tmp_path / name)
        losses[name] = next(
            event.values["train/labels"]
            for event in run_events
            if isinstance(event, events.MetricsRecorded)
        )
    assert len(set(losses.values())) == len(recipes), losses


def reorder_classes(teacher: Path, path: Path, order: list[int]) -> Path:
    state = load_file(teacher)
    state["fc.weight"], state["fc.bias"] = state["fc.weight"][order], state["fc.bias"][order]
    torch.save(state, path)
    return path


def test_a_teacher_with_reordered_classes_is_rejected_with_the_class_map_to_set(
    make_spec: MakeSpec, teacher: Path, tmp_path: Path
) -> None:
    wrong = reorder_classes(teacher, tmp_path / "wrong.pth", [1, 2, 0])
    with pytest.raises(TeacherAtChance) as caught:
        list(run(make_spec(teacher={"path": wrong}, method={"name": "kd"}), tmp_path))
    assert "class_map [2, 0, 1]" in caught.value.hint
    mapped = make_spec(
        teacher={"path": wrong, "class_map": [2, 0, 1]},
        method={"name": "kd"},
        training={"epochs": 1},
    )
    assert run_to_report(mapped, tmp_path)["metrics"]["teacher"]["top1"] > 0.9


def test_the_order_of_the_teachers_classes_can_be_found_automatically(
    make_spec: MakeSpec, teacher: Path, tmp_path: Path
) -> None:
    wrong = reorder_classes(teacher, tmp_path / "wrong.pth", [1, 2, 0])
    spec = make_spec(
        teacher={"path": wrong, "class_map": "auto"}, method={"name": "kd"}, training={"epochs": 1}
    )
    report, run_events = run_to_end(spec, tmp_path)
    assert report["metrics"]["teacher"]["top1"] > 0.9
    assert list(report["lineage"]["class_map"]) == [2, 0, 1]
    assert any("class_map [2, 0, 1]" in message for message in notice_messages(run_events))


@pytest.mark.parametrize("class_map", [[0, 1], [0, 1, 9]])
def test_an_invalid_class_map_is_rejected_with_its_pointer(
    make_spec: MakeSpec, teacher: Path, tmp_path: Path, class_map: list[int]
) -> None:
    spec = make_spec(teacher={"path": teacher, "class_map": class_map}, method={"name": "kd"})
    with pytest.raises(ClassesDoNotFit) as caught:
        list(run(spec, tmp_path))
    assert caught.value.pointer == "/teacher/class_map"
