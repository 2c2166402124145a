"""Tests for a whole worker with scripted trainers and the filesystem broker."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from registry.db.worker_tables import Leader, WorkerRow
from registry.errors import DatabaseOutdated
from registry.jobs import controls
from registry.jobs.file_transport import FileChannel
from registry.jobs.job_queue import CeleryJobQueue
from registry.observability.logging_setup import configure_logging
from registry.settings import Settings
from registry.workers import membership
from registry.workers.membership import DrainMode
from tests.worker.conftest import FAST_SETTINGS, WorkerHarness, scripted_command, wait_until
from worker.__main__ import main
from worker.worker_process import start_worker


def test_a_hint_from_the_broker_wakes_a_worker_that_polls_rarely(
    harness: WorkerHarness, settings: Settings
) -> None:
    dataset = {"id": harness.add_ready_dataset()}
    slow_settings = settings.model_copy(update={"poll_seconds": 3600.0, "dispatch_seconds": 3600.0})
    with start_worker(slow_settings, scripted_command("export()\nfinish()")):
        job_id = harness.submit(dataset=dataset)
        CeleryJobQueue(slow_settings).send("train", job_id)
        wait_until(lambda: harness.get_job(job_id).status == "succeeded")


def test_hints_are_consumed_again_after_celery_gave_up(
    harness: WorkerHarness, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.hint_consumer._RESTART_SECONDS", 0.1)
    failures = [ValueError("a broken message")]
    read_message = FileChannel._get

    def fail_once(channel: FileChannel, queue: str) -> Any:
        if failures:
            raise failures.pop()
        return read_message(channel, queue)

    monkeypatch.setattr(FileChannel, "_get", fail_once)
    dataset = {"id": harness.add_ready_dataset()}
    slow_settings = settings.model_copy(update={"poll_seconds": 3600.0, "dispatch_seconds": 3600.0})
    with start_worker(slow_settings, scripted_command("export()\nfinish()")):
        wait_until(lambda: not failures)
        job_id = harness.submit(dataset=dataset)
        CeleryJobQueue(slow_settings).send("train", job_id)
        wait_until(lambda: harness.get_job(job_id).status == "succeeded")


def test_a_drained_worker_requeues_its_job_and_leaves_nothing_behind(
    harness: WorkerHarness, settings: Settings
) -> None:
    job_id = harness.submit()
    with start_worker(settings, scripted_command("step(2)\nwait_for_stop()\nsave(2)")) as context:
        wait_until(lambda: harness.get_job(job_id).status == "running")
        assert (settings.data / "work" / context.worker_id).is_dir()
    job = harness.get_job(job_id)
    assert (job.status, job.checkpoint_step, job.spent) == ("queued", 2, 0)
    assert list((settings.data / "work").iterdir()) == []
    with harness.database.read() as session:
        assert (session.query(WorkerRow).count(), session.query(Leader).count()) == (0, 0)


def test_a_worker_refuses_an_outdated_database(tmp_path: Path) -> None:
    with (
        pytest.raises(DatabaseOutdated),
        start_worker(Settings(data=tmp_path), scripted_command("")),
    ):
        pass
    assert not (tmp_path / "work").exists()


def test_log_lines_of_an_attempt_name_its_job_and_worker(
    harness: WorkerHarness, settings: Settings, log_stream: io.StringIO
) -> None:
    configure_logging(settings.model_copy(update={"log_format": "json"}), log_stream)
    job_id = harness.submit(dataset={"id": harness.add_ready_dataset()})
    with start_worker(settings, scripted_command("export()\nfinish()")) as context:
        wait_until(lambda: harness.get_job(job_id).status == "succeeded")
    lines = [json.loads(line) for line in log_stream.getvalue().splitlines()]
    attempt_lines = [line for line in lines if line.get("job") == job_id]
    assert {line["logger"] for line in attempt_lines} >= {"worker.attempt_supervisor"}
    assert {(line["attempt"], line["worker"]) for line in attempt_lines} == {(1, context.worker_id)}
    assert any("is ready" in line["event"] and "job" not in line for line in lines)


def test_an_invalid_setting_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DLKD_SLOTS", "none")
    assert main() == 1
    assert "DLKD_SLOTS: Input should be a valid integer" in capsys.readouterr().err


@contextmanager
def start_worker_process(settings: Settings, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a worker process with scripted trainers within the `with` block."""
    program = (
        "import sys; from registry.settings import Settings; "
        "from worker.worker_process import run_worker; "
        "sys.exit(run_worker(Settings(), sys.argv[1:]))"
    )
    variables = {
        f"DLKD_{name.upper()}": str(getattr(settings, name)) for name in ("data", *FAST_SETTINGS)
    }
    trainer_command = scripted_command("step(2)\nwait_for_stop()\nsave(2)")
    with (
        log.open("wb") as stderr,
        subprocess.Popen(
            [sys.executable, "-c", program, *trainer_command],
            env={**os.environ, **variables},
            stderr=stderr,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("order", ["finish", "now"])
def test_a_worker_that_an_operator_drains_exits(
    harness: WorkerHarness, settings: Settings, tmp_path: Path, order: DrainMode
) -> None:
    dataset = {"id": harness.add_ready_dataset()}
    running, waiting = (harness.submit(dataset=dataset) for _ in range(2))
    with start_worker_process(settings, tmp_path / "log") as process:
        wait_until(lambda: harness.get_job(running).status == "running")
        worker_id = harness.get_job(running).worker_id or ""
        harness.run(membership.set_drain_mode, worker_id, order)
        if order == "finish":
            wait_until(lambda: harness.run(membership.record_heartbeat, worker_id))
            assert (process.poll(), harness.get_job(running).status) == (None, "running")
            harness.run(controls.cancel, running, actor="key_test")
        assert process.wait() == 0
    job = harness.get_job(running)
    assert (job.status, job.checkpoint_step) == ({"finish": "cancelled", "now": "queued"}[order], 2)
    assert (harness.get_job(waiting).status, harness.get_job(waiting).attempt) == ("queued", 0)
    with harness.database.read() as session:
        assert membership.list_all(session) == []
