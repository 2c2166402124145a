"""A job of several processes: claimed with as many slots, started by torchrun, and under the same supervisor as any other."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from dlkd_core.data.inspect import inspect_dataset
from registry import controls, jobs
from registry.tables import Job, Model
from registry.uploads import PACKED_FILE
from tests.worker.conftest import Workshop, soon
from worker.kit import Kit
from worker.main import TRAINER
from worker.slots import Slots

TWO = {"device": "cpu", "processes": 2}
SHORT = {"epochs": 3, "batch_size": 16, "learning_rate": 0.05, "flip": False}
ENDLESS = {**SHORT, "epochs": 100_000}
Begin = Callable[..., Kit]


@pytest.fixture
def begin(workshop: Workshop) -> Iterator[Begin]:
    """Starts a worker's slots; they are drained with the test."""
    started: list[Slots] = []

    def start(body: str | tuple[str, ...] = TRAINER, **settings: Any) -> Kit:
        kit = workshop.kit(body, **settings)
        started.append(Slots(kit, [{"kind": "cpu", "cores": 2, "memory_bytes": 2**34}]))
        started[-1].start()
        return kit

    yield start
    for slots in started:
        slots.drain()


def submitted(workshop: Workshop, dataset: str, training: dict[str, Any], **parts: Any) -> str:
    return workshop.submit(dataset={"id": dataset}, training=training, export=["safetensors"], **parts)


def ended(workshop: Workshop, job_id: str) -> Job:
    soon(lambda: workshop.job(job_id).finished_at is not None)
    return workshop.job(job_id)


def ranks() -> dict[str, psutil.Process]:
    """The trainers that torchrun has started below this process, by rank."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if "RANK" in (environment := process.environ()):
                found[environment["RANK"]] = process
    return found


def runs(process: psutil.Process) -> bool:
    """Whether it does; one whose parent has been killed may wait as a zombie for a reaper that a container does not have."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def loss(workshop: Workshop, job_id: str) -> list[float]:
    with workshop.database.read() as session:
        return [row.value or 0.0 for row in jobs.metrics(session, job_id, names=["train/loss"])]


@pytest.fixture(scope="module")
def packed(stripes: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, dict[str, Any]]:
    """The stripes as a check leaves them, and its report."""
    folder = tmp_path_factory.mktemp("packed")
    report = inspect_dataset(stripes, folder)
    return (folder / PACKED_FILE).read_bytes(), report


@pytest.fixture
def dataset(workshop: Workshop, packed: tuple[bytes, dict[str, Any]]) -> str:
    content, report = packed
    workshop.put = lambda _=None: workshop.store.put([content])  # type: ignore[method-assign]
    return workshop.ready_dataset(**report)


def test_two_processes_make_the_model_that_one_makes(workshop: Workshop, begin: Begin, dataset: str) -> None:
    begin(slots=2)
    one, two = (submitted(workshop, dataset, SHORT, **more) for more in ({}, {"resources": TWO}))
    found = [ended(workshop, job_id) for job_id in (one, two)]
    assert [(job.status, job.error) for job in found] == [("succeeded", None)] * 2
    assert loss(workshop, two)[0] == pytest.approx(loss(workshop, one)[0], rel=1e-4)
    assert loss(workshop, two)[-1] == pytest.approx(loss(workshop, one)[-1], rel=0.1)  # rounding grows from step to step
    with workshop.database.read() as session:
        tops = [session.get_one(Model, job.model_id).metrics["student"]["top1"] for job in found]
    assert tops[1] == pytest.approx(tops[0], abs=0.1)


@pytest.mark.e2e
def test_one_process_that_is_killed_ends_the_attempt_and_the_next_goes_on(workshop: Workshop, begin: Begin, dataset: str) -> None:
    begin(slots=2)
    job_id = submitted(workshop, dataset, ENDLESS, resources=TWO)
    soon(lambda: workshop.job(job_id).checkpoint_step)
    first = ranks()
    assert set(first) == {"0", "1"}
    first["1"].send_signal(signal.SIGKILL)
    soon(lambda: workshop.job(job_id).attempt == 2 and set(ranks()) == {"0", "1"})
    assert not any(map(runs, first.values()))
    soon(lambda: "goes on after step" in str(workshop.events(job_id)))
    workshop.do(jobs.cancel, job_id, actor="key_test")
    assert ended(workshop, job_id).status == "cancelled"
    assert ranks() == {}
    with workshop.database.read() as session:
        killed, cancelled = jobs.attempts(session, job_id)
    assert (killed.status, cancelled.status) == ("failed", "cancelled")
    assert (killed.error or {})["code"] in {"process_lost", "trainer_died"}  # whoever is the first to notice
    assert (killed.error or {})["retryable"]


@pytest.mark.e2e
def test_torchrun_that_is_killed_takes_its_processes_with_it(workshop: Workshop, begin: Begin, dataset: str) -> None:
    begin(slots=2)
    job_id = submitted(workshop, dataset, ENDLESS, resources=TWO, max_attempts=1)
    soon(lambda: workshop.job(job_id).progress.get("step"))
    found = ranks()
    os.kill(found["0"].ppid(), signal.SIGKILL)
    assert ended(workshop, job_id).status == "failed"
    assert not any(map(runs, found.values()))


@pytest.mark.e2e
def test_a_pause_saves_where_several_processes_stood(workshop: Workshop, begin: Begin, dataset: str) -> None:
    begin(slots=2, checkpoint_seconds=3600)
    job_id = submitted(workshop, dataset, ENDLESS, resources=TWO)
    soon(lambda: (workshop.job(job_id).progress.get("step") or 0) > 3)
    workshop.do(controls.pause, job_id, actor="key_test")
    soon(lambda: workshop.job(job_id).status == "paused")
    assert (workshop.job(job_id).checkpoint_step or 0) > 3
    assert ranks() == {}
