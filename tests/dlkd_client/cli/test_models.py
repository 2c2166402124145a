"""Commands for models, teachers and datasets, tested with a real server."""

from pathlib import Path

import pytest

from registry.db.database import Database
from registry.db.model_tables import Model
from tests.api.fake_worker import CHECKPOINT, FakeWorker
from tests.dlkd_client.cli_runner import run_dlkd, run_dlkd_json


@pytest.fixture
def two_models(spec: str, worker: FakeWorker) -> list[str]:
    """Create two versions of a model and return their ids."""
    models = []
    for number in range(2):
        run_dlkd("submit", "-", "--set", "model_name=pets", stdin=spec)
        models.append(worker.finish_training(worker.claim("train"), b"weights %d" % number))
    return models


def test_models_are_listed_and_filtered(two_models: list[str]) -> None:
    assert [model["id"] for model in run_dlkd_json("models")] == two_models[::-1]
    assert run_dlkd_json("models", "--name", "dogs") == []
    table = run_dlkd("models").stdout
    assert all(text in table for text in ("pets", "resnet8", "50.00%"))


def test_the_gain_and_warnings_of_a_model_are_shown(
    spec: str, worker: FakeWorker, database: Database
) -> None:
    job = run_dlkd_json("submit", "-", stdin=spec)["id"]
    model_id = worker.finish_training(worker.claim("train"))
    assert "points over" not in run_dlkd("watch", job).stderr
    baseline = {"top1": 0.4, "images": 1000, "gain": 0.123, "gain_interval": 0.008}
    with database.write() as session:
        row = session.get_one(Model, model_id)
        row.metrics = {**row.metrics, "baseline": baseline}
        row.report = {**row.report, "warnings": ["The teacher is poor."]}
    watched = run_dlkd("watch", job).stderr
    assert "+12.3 ± 0.8 points over the same network trained on labels alone" in watched
    assert "Warning: The teacher is poor." in watched
    assert "+12.3 ± 0.8" in run_dlkd("models").stdout


def test_models_are_compared(two_models: list[str]) -> None:
    comparison = run_dlkd_json("compare", *two_models)
    assert [model["id"] for model in comparison["models"]] == two_models
    table = run_dlkd("compare", *two_models).stdout
    assert "pets@1" in table
    assert "bytes of onnx" in table
    single = run_dlkd("compare", two_models[0])
    assert (single.exit_code, single.stdout) == (1, "")
    assert "2 to 20" in single.stderr


def test_an_alias_is_set_moved_and_deleted(two_models: list[str]) -> None:
    assert run_dlkd("alias", "pets@champion", two_models[0]).exit_code == 0
    assert run_dlkd_json("show", "pets@champion")["id"] == two_models[0]
    assert run_dlkd_json("alias", "pets@champion", "pets@2")["model"] == two_models[1]
    assert run_dlkd("alias", "pets@champion", "--delete").exit_code == 0
    assert run_dlkd("show", "pets@champion").exit_code == 1


@pytest.mark.parametrize(
    "arguments",
    [["pets@champion"], ["champion", "pets@1"], ["pets@champion", "pets@1", "--delete"]],
)
def test_an_incomplete_alias_command_is_refused(arguments: list[str]) -> None:
    result = run_dlkd("alias", *arguments)
    assert (result.exit_code, "name@alias" in result.stderr) == (1, True)


def test_a_download_lists_its_files(two_models: list[str], tmp_path: Path) -> None:
    (file,) = run_dlkd_json("download", "pets@2", "--to", "out")
    assert (file["path"], file["size"]) == (str(Path("out", "student.onnx")), 9)
    assert (tmp_path / "out" / "student.onnx").read_bytes() == b"weights 1"
    wrong = run_dlkd("download", two_models[0], "student.pt")
    assert (wrong.exit_code, "student.onnx" in wrong.stderr) == (1, True)


def test_teachers_and_data_sets_are_listed(dataset: str, tmp_path: Path) -> None:
    (tmp_path / "big.th").write_bytes(CHECKPOINT)
    teacher = run_dlkd_json("teacher", "add", "big.th", "--no-wait")["id"]
    assert [teacher["id"] for teacher in run_dlkd_json("teacher", "list")] == [teacher]
    assert [dataset["id"] for dataset in run_dlkd_json("dataset", "list")] == [dataset]
    assert "2 classes" in run_dlkd("dataset", "list").stdout
    assert "validating" in run_dlkd("teacher", "list").stdout


def test_teachers_and_data_sets_are_deleted(dataset: str, tmp_path: Path) -> None:
    (tmp_path / "big.th").write_bytes(CHECKPOINT)
    teacher = run_dlkd_json("teacher", "add", "big.th", "--no-wait")["id"]
    deleted = run_dlkd("teacher", "rm", teacher)
    assert (deleted.exit_code, deleted.stdout) == (0, "")
    assert run_dlkd_json("teacher", "list") == []
    again = run_dlkd("teacher", "rm", teacher)
    assert (again.exit_code, again.stdout, f"There is no teacher {teacher}." in again.stderr) == (
        1,
        "",
        True,
    )
    assert run_dlkd_json("dataset", "rm", dataset) == {"id": dataset, "deleted": True}
    assert run_dlkd_json("dataset", "list") == []


def test_inputs_in_a_lineage_are_deleted_by_force(two_models: list[str], dataset: str) -> None:
    refused = run_dlkd("dataset", "rm", dataset)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert all(model in refused.stderr for model in two_models)
    assert "--force" in refused.stderr
    assert run_dlkd("dataset", "rm", dataset, "--force").exit_code == 0
    assert run_dlkd_json("dataset", "list") == []
    assert run_dlkd_json("show", two_models[0])["id"] == two_models[0]


def test_the_report_of_a_dataset_is_shown(dataset: str, spec: str, worker: FakeWorker) -> None:
    assert run_dlkd_json("dataset", "report", dataset)["label_errors"] is None
    run_dlkd("submit", "-", stdin=spec)
    error = {"index": 2, "name": "val/dog/0.png", "label": 1, "confidence": 0.012}
    error |= {"suggested_label": 0, "suggested_confidence": 0.98}
    found = {"images": 4, "count": 1, "examples": [error]}
    worker.finish_training(worker.claim("train"), label_errors=found)
    shown = run_dlkd("dataset", "report", dataset).stdout
    assert "train: 8 images, from 3 (dog) to 5 (cat) per class" in shown
    assert "majority class: 50.00% of the evaluation images" in shown
    assert "similar classes: 'cat' and 'dog' (typo)" in shown
    assert "channels: 3 x 8 bits (12)" in shown
    (row,) = [line.split() for line in shown.splitlines() if line.startswith(" exact")]
    assert row[:6] == ["exact", "duplicates", "1", "0", "0", "0"]
    assert "possible label errors: 1 of 4 evaluation images" in shown
    (row,) = [line.split() for line in shown.splitlines() if "val/dog/0.png" in line]
    assert row == ["val/dog/0.png", "dog", "0.012", "cat", "0.98"]


def test_a_dataset_without_a_report_is_an_error(dataset: str, tmp_path: Path) -> None:
    added = run_dlkd("dataset", "add", str(tmp_path / "pets.zip"), "--no-wait").stdout.strip()
    result = run_dlkd("dataset", "report", added)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "has no report" in result.stderr
    assert dataset != added
