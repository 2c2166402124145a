"""The `dlkd` command against a real server."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from registry import claims
from tests.api.conftest import CHECKPOINT, FakeWorker
from tests.dlkd_client.runner import dlkd

ROOT = Path(__file__).resolve().parents[2]


def test_the_catalog_needs_no_service() -> None:
    assert "resnet20" in dlkd("catalog").stdout
    menu = json.loads(dlkd("catalog", "--json").stdout)
    assert {"methods", "architectures", "timm", "exporters", "evaluations", "sources"} == menu.keys()
    assert {"dlkd", "plain"} <= {method["name"] for method in menu["methods"]}


def test_a_job_from_file_to_files(spec: str, worker: FakeWorker, tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text(spec)
    job = dlkd("submit", "spec.json").stdout.strip()
    assert job.startswith("job_")
    assert job in dlkd("list").stdout
    model = worker.train(worker.claim("train"))
    watched = dlkd("watch", job)
    assert (watched.exit_code, watched.stdout) == (0, "")
    assert model in watched.stderr
    shown = json.loads(dlkd("show", job).stdout)
    assert (shown["status"], shown["model_id"], shown["name"]) == ("succeeded", model, "mine")
    assert json.loads(dlkd("show", model).stdout)["architecture"] == "resnet8"
    fetched = dlkd("download", model, "--to", "out")
    assert fetched.stdout.strip() == str(Path("out", "student.onnx"))
    assert (tmp_path / "out" / "student.onnx").read_bytes() == b"weights of the student"


def test_a_spec_may_come_from_standard_input(spec: str) -> None:
    job = json.loads(dlkd("submit", "-", "--json", stdin=spec).stdout)
    assert (job["name"], job["status"]) == ("mine", "queued")
    assert [found["id"] for found in json.loads(dlkd("list", "--json", "--status", "queued").stdout)] == [job["id"]]


def test_watching_a_job_that_does_not_succeed_ends_with_1(spec: str) -> None:
    job = dlkd("submit", "-", stdin=spec).stdout.strip()
    assert dlkd("cancel", job).stdout.strip() == "cancelled"
    watched = dlkd("watch", job)
    assert (watched.exit_code, "cancelled" in watched.stderr) == (1, True)


def test_a_job_under_control(spec: str, worker: FakeWorker, tmp_path: Path) -> None:
    job = dlkd("submit", "-", stdin=spec).stdout.strip()
    assert dlkd("pause", job).stdout.strip() == "paused"
    assert dlkd("resume", job).stdout.strip() == "queued"
    claim = worker.claim("train")
    with worker.database.write() as session:
        claims.record(session, claim, claims.News(lines=["one", "two"]))
        claims.fail(session, claim, error={"code": "training_diverged", "message": "NaN.", "hint": "", "retryable": False})
    assert dlkd("logs", job, "--tail", "1").stdout == "two\n"
    assert "training_diverged" in dlkd("attempts", job).stdout
    assert dlkd("retry", job, "--from-start").stdout.strip() == "queued"
    (tmp_path / "changes.json").write_text('{"name": "other", "labels": {"n": "1"}}')
    clone = dlkd("clone", job, "changes.json").stdout.strip()
    assert [found["id"] for found in json.loads(dlkd("list", "--json", "--label", "n:1").stdout)] == [clone]
    assert dlkd("cancel", clone, "--force").stdout.strip() == "cancelled"


@pytest.mark.usefixtures("connected")
def test_a_teacher_can_be_added_with_what_is_known_of_it(tmp_path: Path) -> None:
    (tmp_path / "big.th").write_bytes(CHECKPOINT)
    options = ["--architecture", "resnet20", "--normalization", '{"mean": [0, 0, 0], "std": [1, 1, 1]}']
    added = json.loads(dlkd("teacher", "add", "big.th", *options, "--no-wait", "--json").stdout)
    assert (added["status"], added["architecture"], added["normalization"]["std"]) == ("validating", "resnet20", [1, 1, 1])


@pytest.mark.usefixtures("connected")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "job_none"], "There is no job job_none."),
        (["show", "thing_1"], "is no id"),
        (["submit", "absent.json"], "There is no file absent.json."),
        (["download", "model_none"], "There is no model model_none."),
    ],
)
def test_what_goes_wrong_is_said_without_a_traceback(words: list[str], said: str) -> None:
    result = dlkd(*words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_without_a_service_it_says_how_to_get_one() -> None:
    assert "dlkd up" in dlkd("list").stderr


def test_a_key_of_this_machine_is_not_sent_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "service.json").write_text('{"url": "http://127.0.0.1:9", "api_key": "secret"}')
    result = dlkd("list", "--url", "http://127.0.0.1:10")
    assert (result.exit_code, "Give both" in result.stderr) == (1, True)


def test_the_service_that_runs_here_is_found(url: str, key: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "service.json").write_text(json.dumps({"url": url, "api_key": key}))
    assert dlkd("list", "--json").stdout.strip() == "[]"


def test_the_command_loads_nothing_heavy() -> None:
    heavy = "{'torch', 'fastapi', 'sqlalchemy', 'celery', 'numpy', 'registry', 'api', 'worker'}"
    check = f"import sys, dlkd_client.command, dlkd_client.client; print(*{heavy} & sys.modules.keys())"
    answer = subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=True, capture_output=True, text=True)
    assert answer.stdout.split() == []
