"""A whole worker in this process, on the file queue, with scripted trainers."""

from pathlib import Path

import pytest

from registry.errors import DatabaseBehind
from registry.queue import CeleryQueue
from registry.settings import Settings
from registry.tables import Leader, WorkerRow
from tests.worker.conftest import Workshop, scripted, soon
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
