"""A whole worker in this process, on the file queue, with scripted trainers."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from registry import jobs, workers
from registry.errors import DatabaseBehind
from registry.logbook import open_log
from registry.queue import CeleryQueue
from registry.settings import Settings
from registry.tables import Leader, WorkerRow
from registry.workers import Drain
from tests.worker.conftest import QUICK, Workshop, scripted, soon
from worker.__main__ import main
from worker.main import working


def test_a_hint_at_the_broker_wakes_a_worker_that_would_not_look_for_an_hour(workshop: Workshop, settings: Settings) -> None:
    dataset = {"id": workshop.ready_dataset()}
    patient = settings.model_copy(update={"poll_seconds": 3600.0, "dispatch_seconds": 3600.0})
    with working(patient, scripted("export()\nfinish()")):
        job_id = workshop.submit(dataset=dataset)
        CeleryQueue(patient).send("train", job_id)
        soon(lambda: workshop.job(job_id).status == "succeeded")


def test_leaving_drains_and_leaves_nothing_but_the_work_to_do(workshop: Workshop, settings: Settings) -> None:
    job_id = workshop.submit()
    with working(settings, scripted("step(2)\nuntil_stopped()\nsave(2)")) as kit:
        soon(lambda: workshop.job(job_id).status == "running")
        assert (settings.data / "work" / kit.worker_id).is_dir()
    job = workshop.job(job_id)
    assert (job.status, job.checkpoint_step, job.spent) == ("queued", 2, 0)
    assert list((settings.data / "work").iterdir()) == []
    with workshop.database.read() as session:
        assert (session.query(WorkerRow).count(), session.query(Leader).count()) == (0, 0)


def test_a_worker_refuses_a_database_of_another_version(tmp_path: Path) -> None:
    with pytest.raises(DatabaseBehind), working(Settings(data=tmp_path), scripted("")):
        pass
    assert not (tmp_path / "work").exists()


def test_what_is_logged_about_an_attempt_names_it(workshop: Workshop, settings: Settings, log_stream: io.StringIO) -> None:
    open_log(settings.model_copy(update={"log_format": "json"}), log_stream)
    job_id = workshop.submit(dataset={"id": workshop.ready_dataset()})
    with working(settings, scripted("export()\nfinish()")) as kit:
        soon(lambda: workshop.job(job_id).status == "succeeded")
    lines = [json.loads(line) for line in log_stream.getvalue().splitlines()]
    about = [line for line in lines if line.get("job") == job_id]
    assert {line["logger"] for line in about} >= {"worker.supervisor"}
    assert {(line["attempt"], line["worker"]) for line in about} == {(1, kit.worker_id)}
    assert any("is ready" in line["event"] and "job" not in line for line in lines)


def test_a_worker_names_what_is_wrong_with_its_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DLKD_SLOTS", "none")
    assert main() == 1
    assert "DLKD_SLOTS: Input should be a valid integer" in capsys.readouterr().err


@contextmanager
def started(settings: Settings, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """`dlkd worker` as a process, with scripted trainers for the block."""
    program = (
        "import sys; from registry.settings import Settings; from worker.main import run; sys.exit(run(Settings(), sys.argv[1:]))"
    )
    mine = {f"DLKD_{name.upper()}": str(getattr(settings, name)) for name in ("data", *QUICK)}
    with (
        log.open("wb") as err,
        subprocess.Popen(
            [sys.executable, "-c", program, *scripted("step(2)\nuntil_stopped()\nsave(2)")],
            env={**os.environ, **mine},
            stderr=err,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("order", ["finish", "now"])
def test_a_worker_that_is_told_to_drain_ends_itself(workshop: Workshop, settings: Settings, tmp_path: Path, order: Drain) -> None:
    dataset = {"id": workshop.ready_dataset()}
    running, waiting = (workshop.submit(dataset=dataset) for _ in range(2))
    with started(settings, tmp_path / "log") as process:
        soon(lambda: workshop.job(running).status == "running")
        worker_id = workshop.job(running).worker_id or ""
        workshop.do(workers.drain, worker_id, order)
        if order == "finish":
            soon(lambda: workshop.do(workers.seen, worker_id))
            assert (process.poll(), workshop.job(running).status) == (None, "running")
            workshop.do(jobs.cancel, running, actor="key_test")
        assert process.wait() == 0
    job = workshop.job(running)
    assert (job.status, job.checkpoint_step) == ({"finish": "cancelled", "now": "queued"}[order], 2)
    assert (workshop.job(waiting).status, workshop.job(waiting).attempt) == ("queued", 0)
    with workshop.database.read() as session:
        assert workers.everyone(session) == []
