"""Tests for jobs with several processes. Each process takes a slot and is run by torchrun."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from dlkd_core.data.inspection import inspect_dataset
from registry.db.job_tables import Job
from registry.db.model_tables import Model
from registry.jobs import controls, queries
from registry.uploads.upload_check_jobs import PACKED_FILE
from tests.worker.conftest import WorkerHarness, wait_until
from worker.context import WorkerContext
from worker.slot_threads import Slots
from worker.worker_process import TRAINER_COMMAND

TWO_PROCESSES = {"device": "cpu", "processes": 2}
SHORT_TRAINING = {"epochs": 3, "batch_size": 16, "learning_rate": 0.05, "flip": False}
ENDLESS_TRAINING = {**SHORT_TRAINING, "epochs": 100_000}
StartSlots = Callable[..., WorkerContext]


@pytest.fixture
def start_slots(harness: WorkerHarness) -> Iterator[StartSlots]:
    """Return a function that starts a worker, whose slots are drained after the test."""
    started: list[Slots] = []

    def start(body: str | tuple[str, ...] = TRAINER_COMMAND, **settings: Any) -> WorkerContext:
        context = harness.create_context(body, **settings)
        started.append(Slots(context, [{"kind": "cpu", "cores": 2, "memory_bytes": 2**34}]))
        started[-1].start()
        return context

    yield start
    for slots in started:
        slots.drain()


def submit_job(
    harness: WorkerHarness, dataset: str, training: dict[str, Any], **fields: Any
) -> str:
    return harness.submit(
        dataset={"id": dataset}, training=training, export=["safetensors"], **fields
    )


def wait_for_end(harness: WorkerHarness, job_id: str) -> Job:
    wait_until(lambda: harness.get_job(job_id).finished_at is not None)
    return harness.get_job(job_id)


def trainers_by_rank() -> dict[str, psutil.Process]:
    """Return this process's descendants that torchrun has started as trainers, keyed by rank."""
    trainers = {}
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if "RANK" in (environment := process.environ()):
                trainers[environment["RANK"]] = process
    return trainers


def is_running(process: psutil.Process) -> bool:
    """Return whether a process is running.

    A zombie does not count as running, because in a container it may never be reaped.
    """
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def read_losses(harness: WorkerHarness, job_id: str) -> list[float]:
    with harness.database.read() as session:
        return [
            row.value or 0.0 for row in queries.list_metrics(session, job_id, names=["train/loss"])
        ]


@pytest.fixture(scope="module")
def packed(stripes: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, dict[str, Any]]:
    """Return the packed stripes dataset and the report from its inspection."""
    folder = tmp_path_factory.mktemp("packed")
    report = inspect_dataset(stripes, folder)
    return (folder / PACKED_FILE).read_bytes(), report


@pytest.fixture
def dataset(harness: WorkerHarness, packed: tuple[bytes, dict[str, Any]]) -> str:
    content, report = packed
    harness.store_file = lambda _=None: harness.store.put([content])  # type: ignore[method-assign]
    return harness.add_ready_dataset(**report)


@pytest.mark.e2e
def test_two_processes_train_the_same_model_as_one(
    harness: WorkerHarness, start_slots: StartSlots, dataset: str
) -> None:
    start_slots(slots=2)
    single = submit_job(harness, dataset, SHORT_TRAINING)
    double = submit_job(harness, dataset, SHORT_TRAINING, resources=TWO_PROCESSES)
    jobs = [wait_for_end(harness, job_id) for job_id in (single, double)]
    assert [(job.status, job.error) for job in jobs] == [("succeeded", None)] * 2
    expected, losses = read_losses(harness, single), read_losses(harness, double)
    assert losses[0] == pytest.approx(expected[0], rel=1e-4)
    assert losses[-1] == pytest.approx(expected[-1], rel=0.1)  # rounding errors accumulate
    with harness.database.read() as session:
        models = [session.get_one(Model, job.model_id) for job in jobs]
    top1, top1_double = (model.metrics["student"]["top1"] for model in models)
    assert top1_double == pytest.approx(top1, abs=0.1)


@pytest.mark.e2e
def test_a_killed_process_ends_its_attempt_and_the_next_attempt_resumes(
    harness: WorkerHarness, start_slots: StartSlots, dataset: str
) -> None:
    start_slots(slots=2)
    job_id = submit_job(harness, dataset, ENDLESS_TRAINING, resources=TWO_PROCESSES)
    wait_until(lambda: harness.get_job(job_id).checkpoint_step)
    first = trainers_by_rank()
    assert set(first) == {"0", "1"}
    first["1"].send_signal(signal.SIGKILL)
    wait_until(
        lambda: harness.get_job(job_id).attempt == 2 and set(trainers_by_rank()) == {"0", "1"}
    )
    assert not any(map(is_running, first.values()))
    wait_until(lambda: "Resuming training after step" in str(harness.events(job_id)))
    harness.run(controls.cancel, job_id, actor="key_test")
    assert wait_for_end(harness, job_id).status == "cancelled"
    assert trainers_by_rank() == {}
    with harness.database.read() as session:
        killed, cancelled = queries.list_attempts(session, job_id)
    assert (killed.status, cancelled.status) == ("failed", "cancelled")
    # The error code depends on which process notices the failure first.
    assert (killed.error or {})["code"] in {"process_lost", "trainer_died"}
    assert (killed.error or {})["retryable"]


@pytest.mark.e2e
def test_the_processes_of_a_killed_torchrun_are_killed(
    harness: WorkerHarness, start_slots: StartSlots, dataset: str
) -> None:
    start_slots(slots=2)
    job_id = submit_job(harness, dataset, ENDLESS_TRAINING, resources=TWO_PROCESSES, max_attempts=1)
    wait_until(lambda: harness.get_job(job_id).progress.get("step"))
    trainers = trainers_by_rank()
    os.kill(trainers["0"].ppid(), signal.SIGKILL)
    assert wait_for_end(harness, job_id).status == "failed"
    assert not any(map(is_running, trainers.values()))


@pytest.mark.e2e
def test_a_pause_saves_a_checkpoint_of_several_processes(
    harness: WorkerHarness, start_slots: StartSlots, dataset: str
) -> None:
    start_slots(slots=2, checkpoint_seconds=3600)
    job_id = submit_job(harness, dataset, ENDLESS_TRAINING, resources=TWO_PROCESSES)
    wait_until(lambda: (harness.get_job(job_id).progress.get("step") or 0) > 3)
    harness.run(controls.pause, job_id, actor="key_test")
    wait_until(lambda: harness.get_job(job_id).status == "paused")
    assert (harness.get_job(job_id).checkpoint_step or 0) > 3
    assert trainers_by_rank() == {}
