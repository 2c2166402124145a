"""A run from beginning to end, on images that a small network learns in seconds."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

from dlkd_core import events
from dlkd_core.catalog import METHODS
from dlkd_core.checkpoint import FILE
from dlkd_core.data import open_dataset
from dlkd_core.errors import CheckpointCorrupt, ClassesDoNotFit, TeacherAtChance, TrainingDiverged
from dlkd_core.pipeline import run
from dlkd_core.spec import DistillationSpec

from .conftest import MakeSpec


def finished(spec: DistillationSpec, directory: Path) -> tuple[events.Finished, list[events.Event]]:
    seen = list(run(spec, directory))
    last = seen[-1]
    assert isinstance(last, events.Finished)
    return last, seen


@pytest.fixture(scope="session")
def teacher(tmp_path_factory: pytest.TempPathFactory, stripes: Path) -> Path:
    """A checkpoint that knows the stripes, trained by the pipeline itself."""
    directory = tmp_path_factory.mktemp("teacher")
    training = {"epochs": 12, "batch_size": 16, "learning_rate": 0.1, "flip": False}
    student = {"architecture": "resnet20"}
    spec = DistillationSpec.model_validate(
        {"student": student, "dataset": {"path": stripes}, "training": training, "export": ["safetensors"]}
    )
    report = finished(spec, directory)[0].report
    assert report["metrics"]["student"]["top1"] > 0.9
    return directory / "student.safetensors"


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"plain"}))
def test_a_teacher_is_distilled_by_every_method_into_a_student_that_was_measured(
    make_spec: MakeSpec, teacher: Path, tmp_path: Path, method: str
) -> None:
    spec = make_spec(teacher={"path": teacher}, method={"name": method})
    report = finished(spec, tmp_path)[0].report
    assert report["metrics"]["teacher"]["top1"] > 0.9
    assert report["metrics"]["teacher"]["architecture"] == "resnet20"
    assert report["metrics"]["student"]["images"] == 60
    assert report["parameters"] < report["metrics"]["teacher"]["parameters"]
    assert report["metrics"]["student"]["latency_ms"] > 0


def test_events_tell_the_phases_the_steps_and_the_series_in_order(make_spec: MakeSpec, teacher: Path, tmp_path: Path) -> None:
    _, seen = finished(make_spec(teacher={"path": teacher}, method={"name": "kd"}), tmp_path)
    assert [event.phase for event in seen if isinstance(event, events.PhaseStarted)] == [
        "reading",
        "proving",
        "training",
        "evaluating",
        "exporting",
    ]
    steps = [event for event in seen if isinstance(event, events.StepDone)]
    assert [event.step for event in steps] == list(range(1, 33))  # 120 images, 8 batches an epoch, 4 epochs
    assert steps[-1].epoch == steps[-1].epochs == 4
    names = {name for event in seen if isinstance(event, events.Measured) for name in event.values}
    assert names == {"train/loss", "train/labels", "train/kd", "learning_rate", "val/top1", "val/top5", "val/nll"}


def test_every_event_survives_its_line_of_json(make_spec: MakeSpec, tmp_path: Path) -> None:
    for event in finished(make_spec(training={"epochs": 1}), tmp_path)[1]:
        assert events.event_adapter.validate_json(event.model_dump_json()) == event


def test_the_onnx_file_alone_gives_the_accuracy_of_the_report(make_spec: MakeSpec, stripes: Path, tmp_path: Path) -> None:
    report, seen = finished(make_spec(export=["safetensors", "onnx"], training={"epochs": 2, "learning_rate": 0.01}), tmp_path)
    files = {event.format: event for event in seen if isinstance(event, events.FileExported)}
    session = onnxruntime.InferenceSession(tmp_path / "student.onnx")
    val = open_dataset(stripes).val
    for size in (1, 60):  # dynamic in the batch
        image = (val.images[:size].numpy() / np.float32(255)).astype(np.float32)
        (logits,) = session.run(["logits"], {"image": image})
        assert logits.shape == (size, 3)
    top1 = (logits.argmax(1) == val.labels.numpy()).mean()
    assert files["onnx"].top1 == files["safetensors"].top1 == pytest.approx(top1)
    assert report.report["metrics"]["student"]["top1"] == pytest.approx(top1)
    assert [event.values["val/top1"] for event in seen if isinstance(event, events.Measured) and "val/top1" in event.values][
        -1
    ] == top1
    assert top1 < 1  # a network that errs: otherwise nothing was compared
    facts = {entry.key: entry.value for entry in onnx.load(tmp_path / "student.onnx").metadata_props}
    assert json.loads(facts["classes"]) == ["diagonal", "horizontal", "vertical"]


def weights(directory: Path) -> dict[str, torch.Tensor]:
    return load_file(directory / "student.safetensors")


@pytest.mark.parametrize("stop_after", [3, 8, 19], ids=["mid-epoch", "between epochs", "later"])
def test_a_run_that_was_stopped_ends_with_the_weights_of_an_undisturbed_one(
    make_spec: MakeSpec, teacher: Path, tmp_path: Path, stop_after: int
) -> None:
    spec = make_spec(teacher={"path": teacher}, method={"name": "dlkd"}, training={"epochs": 3})
    finished(spec, tmp_path / "undisturbed")
    work = run(spec, tmp_path / "stopped")
    for event in work:
        if isinstance(event, events.StepDone) and event.step == stop_after:
            break
    work.close()
    again = list(run(spec, tmp_path / "resumed", resume_from=tmp_path / "stopped" / FILE))
    steps = [event.step for event in again if isinstance(event, events.StepDone)]
    assert steps == list(range(stop_after + 1, 25))
    expected = weights(tmp_path / "undisturbed")
    assert all(torch.equal(value, expected[key]) for key, value in weights(tmp_path / "resumed").items())


def test_a_checkpoint_of_another_run_is_not_taken(make_spec: MakeSpec, tmp_path: Path) -> None:
    finished(make_spec(training={"epochs": 1}), tmp_path / "one")
    with pytest.raises(CheckpointCorrupt, match="another run"):
        list(run(make_spec(training={"epochs": 1, "seed": 5}), tmp_path / "two", resume_from=tmp_path / "one" / FILE))


def test_another_seed_gives_other_weights_and_the_same_seed_the_same(make_spec: MakeSpec, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        finished(make_spec(training={"epochs": 1, "seed": seed}), tmp_path / name)
    a, b, c = (weights(tmp_path / name)["fc.weight"] for name in "abc")
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_a_loss_that_is_no_number_ends_the_run_and_says_where(make_spec: MakeSpec, tmp_path: Path) -> None:
    with pytest.raises(TrainingDiverged, match="epoch 1"):
        list(run(make_spec(training={"learning_rate": 100.0, "weight_decay": 1.0, "epochs": 30}), tmp_path))


def reordered(teacher: Path, path: Path, order: list[int]) -> Path:
    state = load_file(teacher)
    state["fc.weight"], state["fc.bias"] = state["fc.weight"][order], state["fc.bias"][order]
    torch.save(state, path)
    return path


def test_a_teacher_whose_classes_are_in_another_order_is_found_out_and_the_map_is_told(
    make_spec: MakeSpec, teacher: Path, tmp_path: Path
) -> None:
    wrong = reordered(teacher, tmp_path / "wrong.pth", [1, 2, 0])
    with pytest.raises(TeacherAtChance) as caught:
        list(run(make_spec(teacher={"path": wrong}, method={"name": "kd"}), tmp_path))
    assert "class_map [2, 0, 1]" in caught.value.hint
    given = make_spec(teacher={"path": wrong, "class_map": [2, 0, 1]}, method={"name": "kd"}, training={"epochs": 1})
    assert finished(given, tmp_path)[0].report["metrics"]["teacher"]["top1"] > 0.9


@pytest.mark.parametrize("class_map", [[0, 1], [0, 1, 9]])
def test_a_class_map_that_does_not_fit_is_pointed_at(
    make_spec: MakeSpec, teacher: Path, tmp_path: Path, class_map: list[int]
) -> None:
    with pytest.raises(ClassesDoNotFit) as caught:
        list(run(make_spec(teacher={"path": teacher, "class_map": class_map}, method={"name": "kd"}), tmp_path))
    assert caught.value.pointer == "/teacher/class_map"
