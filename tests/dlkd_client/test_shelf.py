"""Commands about models, teachers and data sets against a real server."""

from pathlib import Path

import pytest

from tests.api.conftest import CHECKPOINT, FakeWorker
from tests.dlkd_client.runner import answer, dlkd


@pytest.fixture
def two(spec: str, worker: FakeWorker) -> list[str]:
    """Two versions of a model."""
    made = []
    for number in range(2):
        dlkd("submit", "-", "--set", "model_name=pets", stdin=spec)
        made.append(worker.train(worker.claim("train"), b"weights %d" % number))
    return made


def test_models_are_listed_and_narrowed(two: list[str]) -> None:
    assert [model["id"] for model in answer("models")] == two[::-1]
    assert answer("models", "--name", "dogs") == []
    shown = dlkd("models").stdout
    assert all(word in shown for word in ("pets", "resnet8", "50.00%"))


def test_models_are_compared(two: list[str]) -> None:
    found = answer("compare", *two)
    assert [one["id"] for one in found["models"]] == two
    table = dlkd("compare", *two).stdout
    assert "pets@1" in table
    assert "bytes of onnx" in table
    alone = dlkd("compare", two[0])
    assert (alone.exit_code, alone.stdout) == (1, "")
    assert "2 to 20" in alone.stderr


def test_an_alias_points_moves_and_goes(two: list[str]) -> None:
    assert dlkd("alias", "pets@champion", two[0]).exit_code == 0
    assert answer("show", "pets@champion")["id"] == two[0]
    assert answer("alias", "pets@champion", "pets@2")["model"] == two[1]
    assert dlkd("alias", "pets@champion", "--delete").exit_code == 0
    assert dlkd("show", "pets@champion").exit_code == 1


@pytest.mark.parametrize("words", [["pets@champion"], ["champion", "pets@1"], ["pets@champion", "pets@1", "--delete"]])
def test_half_an_alias_is_refused(words: list[str]) -> None:
    result = dlkd("alias", *words)
    assert (result.exit_code, "name@alias" in result.stderr) == (1, True)


def test_a_download_tells_what_it_brought(two: list[str], tmp_path: Path) -> None:
    (file,) = answer("download", "pets@2", "--to", "out")
    assert (file["path"], file["size"]) == (str(Path("out", "student.onnx")), 9)
    assert (tmp_path / "out" / "student.onnx").read_bytes() == b"weights 1"
    wrong = dlkd("download", two[0], "student.pt")
    assert (wrong.exit_code, "student.onnx" in wrong.stderr) == (1, True)


def test_teachers_and_data_sets_are_listed(dataset: str, tmp_path: Path) -> None:
    (tmp_path / "big.th").write_bytes(CHECKPOINT)
    teacher = answer("teacher", "add", "big.th", "--no-wait")["id"]
    assert [one["id"] for one in answer("teacher", "list")] == [teacher]
    assert [one["id"] for one in answer("dataset", "list")] == [dataset]
    assert "2 classes" in dlkd("dataset", "list").stdout
    assert "validating" in dlkd("teacher", "list").stdout


def test_teachers_and_data_sets_are_deleted(dataset: str, tmp_path: Path) -> None:
    (tmp_path / "big.th").write_bytes(CHECKPOINT)
    teacher = answer("teacher", "add", "big.th", "--no-wait")["id"]
    gone = dlkd("teacher", "rm", teacher)
    assert (gone.exit_code, gone.stdout) == (0, "")
    assert answer("teacher", "list") == []
    again = dlkd("teacher", "rm", teacher)
    assert (again.exit_code, again.stdout, f"There is no teacher {teacher}." in again.stderr) == (1, "", True)
    assert answer("dataset", "rm", dataset) == {"id": dataset, "deleted": True}
    assert answer("dataset", "list") == []


def test_what_a_model_came_from_is_deleted_by_force(two: list[str], dataset: str) -> None:
    refused = dlkd("dataset", "rm", dataset)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert all(model in refused.stderr for model in two)
    assert "--force" in refused.stderr
    assert dlkd("dataset", "rm", dataset, "--force").exit_code == 0
    assert answer("dataset", "list") == []
    assert answer("show", two[0])["id"] == two[0]
