"""The `dlkd` command, tested with a real server."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from registry.attempts import claims
from tests.api.fake_worker import CHECKPOINT, FakeWorker
from tests.dlkd_client.cli_runner import run_dlkd

ROOT = Path(__file__).resolve().parents[3]


def test_the_catalog_needs_no_service() -> None:
    assert "resnet20" in run_dlkd("catalog").stdout
    catalog = json.loads(run_dlkd("catalog", "--json").stdout)
    assert {
        "methods",
        "architectures",
        "timm",
        "exporters",
        "evaluations",
        "sources",
    } == catalog.keys()
    assert {"dlkd", "plain"} <= {method["name"] for method in catalog["methods"]}


def test_a_job_runs_from_spec_file_to_downloaded_files(
    spec: str, worker: FakeWorker, tmp_path: Path
) -> None:
    (tmp_path / "spec.json").write_text(spec)
    job = run_dlkd("submit", "spec.json").stdout.strip()
    assert job.startswith("job_")
    assert job in run_dlkd("list").stdout
    model = worker.finish_training(worker.claim("train"))
    watched = run_dlkd("watch", job)
    assert (watched.exit_code, watched.stdout) == (0, "")
    assert model in watched.stderr
    shown = json.loads(run_dlkd("show", job).stdout)
    assert (shown["status"], shown["model_id"], shown["name"]) == ("succeeded", model, "mine")
    assert json.loads(run_dlkd("show", model).stdout)["architecture"] == "resnet8"
    downloaded = run_dlkd("download", model, "--to", "out")
    assert downloaded.stdout.strip() == str(Path("out", "student.onnx"))
    assert (tmp_path / "out" / "student.onnx").read_bytes() == b"weights of the student"


def test_a_spec_is_read_from_standard_input(spec: str) -> None:
    job = json.loads(run_dlkd("submit", "-", "--json", stdin=spec).stdout)
    assert (job["name"], job["status"]) == ("mine", "queued")
    assert [
        found["id"] for found in json.loads(run_dlkd("list", "--json", "--status", "queued").stdout)
    ] == [job["id"]]


def test_watching_an_unsuccessful_job_exits_with_1(spec: str) -> None:
    job = run_dlkd("submit", "-", stdin=spec).stdout.strip()
    assert run_dlkd("cancel", job).stdout.strip() == "cancelled"
    watched = run_dlkd("watch", job)
    assert (watched.exit_code, "cancelled" in watched.stderr) == (1, True)


def test_a_job_is_controlled_by_commands(spec: str, worker: FakeWorker, tmp_path: Path) -> None:
    job = run_dlkd("submit", "-", stdin=spec).stdout.strip()
    assert run_dlkd("pause", job).stdout.strip() == "paused"
    assert run_dlkd("resume", job).stdout.strip() == "queued"
    claim = worker.claim("train")
    with worker.database.write() as session:
        claims.record_update(session, claim, claims.AttemptUpdate(log_lines=["one", "two"]))
        claims.fail(
            session,
            claim,
            error={"code": "training_diverged", "message": "NaN.", "hint": "", "retryable": False},
        )
    assert run_dlkd("logs", job, "--tail", "1").stdout == "two\n"
    assert "training_diverged" in run_dlkd("attempts", job).stdout
    assert run_dlkd("retry", job, "--from-start").stdout.strip() == "queued"
    (tmp_path / "changes.json").write_text('{"name": "other", "labels": {"n": "1"}}')
    clone = run_dlkd("clone", job, "changes.json").stdout.strip()
    assert [
        found["id"] for found in json.loads(run_dlkd("list", "--json", "--label", "n:1").stdout)
    ] == [clone]
    assert run_dlkd("cancel", clone, "--force").stdout.strip() == "cancelled"


@pytest.mark.usefixtures("service_environment")
def test_a_teacher_is_added_with_architecture_and_normalization(tmp_path: Path) -> None:
    (tmp_path / "big.th").write_bytes(CHECKPOINT)
    options = [
        "--architecture",
        "resnet20",
        "--normalization",
        '{"mean": [0, 0, 0], "std": [1, 1, 1]}',
    ]
    added = json.loads(run_dlkd("teacher", "add", "big.th", *options, "--no-wait", "--json").stdout)
    assert (added["status"], added["architecture"], added["normalization"]["std"]) == (
        "validating",
        "resnet20",
        [1, 1, 1],
    )


@pytest.mark.usefixtures("service_environment")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "job_none"], "There is no job job_none."),
        (["show", "thing_1"], "is not an id"),
        (["submit", "absent.json"], "File not found: absent.json"),
        (["download", "model_none"], "There is no model model_none."),
    ],
)
def test_errors_are_printed_without_a_traceback(arguments: list[str], message: str) -> None:
    result = run_dlkd(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_without_a_service_the_error_says_how_to_start_one() -> None:
    assert "dlkd up" in run_dlkd("list").stderr


def test_a_local_key_is_not_sent_to_another_address(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "service.json").write_text(
        '{"url": "http://127.0.0.1:9", "api_key": "secret"}'
    )
    result = run_dlkd("list", "--url", "http://127.0.0.1:10")
    assert (result.exit_code, "Give both" in result.stderr) == (1, True)


def test_a_service_running_on_this_machine_is_found(url: str, key: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "service.json").write_text(json.dumps({"url": url, "api_key": key}))
    assert run_dlkd("list", "--json").stdout.strip() == "[]"


def test_the_command_imports_nothing_heavy() -> None:
    heavy = "{'torch', 'fastapi', 'sqlalchemy', 'celery', 'numpy', 'registry', 'api', 'worker'}"
    check = (
        f"import sys, dlkd_client.cli.app, dlkd_client.client; print(*{heavy} & sys.modules.keys())"
    )
    result = subprocess.run(
        [sys.executable, "-c", check], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert result.stdout.split() == []
