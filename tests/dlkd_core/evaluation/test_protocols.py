"""The protocols in whole runs: of a trained student, of one that learnt nothing, of a teacher, and on another data set."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from dlkd_client.digits import write_digits
from dlkd_core.checkpoint import FILE
from dlkd_core.data.packed import Packed, Split
from dlkd_core.errors import DatasetError, SpecError
from dlkd_core.evaluation import protocols
from dlkd_core.events import Finished
from dlkd_core.pipeline import run
from dlkd_core.spec import DistillationSpec, JobSpec

BOTH = [{"name": "knn", "k": 5}, {"name": "linear_probe"}]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_digits(tmp_path_factory.mktemp("digits") / "digits.zip")


def report(folder: Path, dataset: Path, *, resume_from: Path | None = None, **parts: Any) -> dict[str, Any]:
    """Of a short run; keywords replace parts of its spec."""
    training = {"epochs": 3, "batch_size": 32, "learning_rate": 0.1, "flip": False, **parts.pop("training", {})}
    base = {"student": {"architecture": "resnet8"}, "dataset": {"path": dataset}, "export": ["safetensors"], "training": training}
    last = list(run(DistillationSpec.model_validate({**base, **parts}), folder, resume_from=resume_from))[-1]
    assert isinstance(last, Finished)
    return last.report


def top1(metrics: dict[str, Any]) -> dict[str, float]:
    return {entry["name"]: entry["top1"] for entry in metrics["protocols"]}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, stripes: Path, digits: Path) -> tuple[Path, dict[str, Any]]:
    """A student of the digits with all protocols: its folder and its report."""
    folder = tmp_path_factory.mktemp("trained")
    return folder, report(folder, digits, evaluation=[*BOTH, {"name": "transfer", "dataset": {"path": stripes}}])


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> dict[str, Any]:
    """One that learnt nothing: one step of next to no length."""
    nothing = {"max_steps": 1, "learning_rate": 1e-12}
    return report(tmp_path_factory.mktemp("untrained"), digits, training=nothing, evaluation=BOTH)


def test_the_features_of_a_trained_student_are_clearly_worth_more(
    trained: tuple[Path, dict[str, Any]], untrained: dict[str, Any]
) -> None:
    after, before = (top1(one["metrics"]["student"]) for one in (trained[1], untrained))
    assert min(after["knn"], after["linear_probe"]) > 0.95
    assert max(before["knn"], before["linear_probe"]) < 0.92


def test_the_entries_stand_in_the_specs_order_with_their_parameters_and_no_path(trained: tuple[Path, dict[str, Any]]) -> None:
    entries = trained[1]["metrics"]["student"]["protocols"]
    assert [entry["name"] for entry in entries] == ["knn", "linear_probe", "transfer"]
    assert entries[0] == {"name": "knn", "k": 5, "temperature": 0.07, "top1": entries[0]["top1"]}
    assert entries[1]["converged"]
    assert entries[2]["dataset"] == "stripes.zip"
    assert json.loads(json.dumps(entries)) == entries


def test_features_of_digits_carry_to_stripes_of_which_they_have_seen_none(trained: tuple[Path, dict[str, Any]]) -> None:
    found = top1(trained[1]["metrics"]["student"])["transfer"]
    assert found > 0.8  # of three classes


def test_a_teacher_and_a_student_without_labels_are_measured_too(
    tmp_path: Path, trained: tuple[Path, dict[str, Any]], digits: Path
) -> None:
    parts = {"teacher": {"path": trained[0] / "student.safetensors"}, "method": {"name": "compress"}}
    found = report(tmp_path, digits, evaluation=BOTH, training={"max_steps": 2}, **parts)["metrics"]
    own = top1(trained[1]["metrics"]["student"])
    assert top1(found["teacher"]) == pytest.approx({name: own[name] for name in ("knn", "linear_probe")}, abs=0.02)
    assert top1(found["student"]).keys() == {"knn", "linear_probe"}


def test_protocols_have_no_say_in_the_weights_and_none_is_the_default(
    tmp_path: Path, trained: tuple[Path, dict[str, Any]], digits: Path
) -> None:
    again = report(tmp_path, digits, resume_from=trained[0] / FILE)
    assert again["lineage"]["run"] == trained[1]["lineage"]["run"]
    assert again["metrics"]["student"]["protocols"] == []


def test_what_could_not_be_run_after_the_training_is_refused_before_it(tmp_path: Path, stripes: Path) -> None:
    with pytest.raises(SpecError, match="no data set") as caught:
        report(tmp_path, stripes, evaluation=[{"name": "knn"}, {"name": "transfer", "dataset": {"path": tmp_path / "none.zip"}}])
    assert caught.value.pointer == "/evaluation/1/dataset/path"
    (tmp_path / "broken.zip").write_text("no zip")
    with pytest.raises(DatasetError):
        report(tmp_path / "out", stripes, evaluation=[{"name": "transfer", "dataset": {"path": tmp_path / "broken.zip"}}])
    assert not (tmp_path / "out" / FILE).exists()
    images = torch.zeros(4, 3, 8, 8, dtype=torch.uint8)
    without, with_labels = (Split(images, torch.full((4,), label)) for label in (-1, 0))
    spec = DistillationSpec.model_validate(
        {"student": {"architecture": "resnet8"}, "dataset": {"path": stripes}, "evaluation": [{"name": "knn"}]}
    )
    for train, val in ((without, with_labels), (with_labels, without)):
        with pytest.raises(SpecError, match="images with labels"):
            protocols.check(spec.evaluation, Packed(train, val, ("a",)))


def test_a_client_can_ask_for_protocols_but_names_no_path() -> None:
    base = {"student": {"architecture": "resnet8"}, "dataset": {"id": "dataset_1"}}
    asked = [*BOTH, {"name": "transfer", "dataset": {"id": "dataset_2"}}]
    assert len(JobSpec.model_validate({**base, "evaluation": asked}).evaluation) == 3
    with pytest.raises(ValueError, match="transfer"):
        JobSpec.model_validate({**base, "evaluation": [{"name": "transfer", "dataset": {"path": "/etc"}}]})
