"""Tests for slots. Each slot claims and runs one job after another."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from registry.db.job_tables import Job
from registry.jobs import controls
from registry.jobs.queue_names import QueueName
from registry.workers import capacity
from tests.worker.conftest import WorkerHarness, wait_until
from worker.context import WorkerContext
from worker.slot_threads import Slots

SUCCEED = "export()\nfinish()"
TRAIN = QueueName.TRAIN


class SlotStarter:
    """Starts slots and keeps them, so that the fixture can drain them after the test."""

    def __init__(self) -> None:
        self.started: list[Slots] = []

    def __call__(self, context: WorkerContext) -> Slots:
        self.started.append(Slots(context, []))
        self.started[-1].start()
        return self.started[-1]


@pytest.fixture
def start_slots() -> Iterator[SlotStarter]:
    starter = SlotStarter()
    yield starter
    for slots in starter.started:
        slots.drain()


def count_jobs(harness: WorkerHarness, status: str) -> int:
    with harness.database.read() as session:
        return session.query(Job).filter_by(status=status, queue=TRAIN).count()


def test_a_slot_runs_all_queued_jobs_without_being_woken(
    harness: WorkerHarness, start_slots: SlotStarter
) -> None:
    dataset = {"id": harness.add_ready_dataset()}
    for _ in range(3):
        harness.submit(dataset=dataset)
    start_slots(harness.create_context(SUCCEED, poll_seconds=3600))
    wait_until(lambda: count_jobs(harness, "succeeded") == 3)


def test_a_hint_wakes_the_slots_of_its_queue_at_once(
    harness: WorkerHarness, start_slots: SlotStarter
) -> None:
    dataset = {"id": harness.add_ready_dataset()}
    context = harness.create_context(SUCCEED, poll_seconds=3600)
    slots = start_slots(context)
    wait_until(lambda: all(not slot.wake_event.is_set() for slot in slots._slots))
    harness.submit(dataset=dataset)
    slots.wake(TRAIN)
    wait_until(lambda: count_jobs(harness, "succeeded") == 1)


def test_an_idle_slot_polls_the_database_without_hints(
    harness: WorkerHarness, start_slots: SlotStarter
) -> None:
    dataset = {"id": harness.add_ready_dataset()}
    start_slots(harness.create_context(SUCCEED))
    harness.submit(dataset=dataset)
    wait_until(lambda: count_jobs(harness, "succeeded") == 1)


def test_every_slot_runs_a_job_and_a_check_runs_in_its_own_slot(
    harness: WorkerHarness, start_slots: SlotStarter
) -> None:
    dataset = {"id": harness.add_ready_dataset()}
    for _ in range(3):
        harness.submit(dataset=dataset)
    waiting = harness.upload_dataset()
    start_slots(harness.create_context("wait_for_stop()", slots=2))
    wait_until(lambda: count_jobs(harness, "running") == 2)
    with harness.database.read() as session:
        check = session.query(Job).filter_by(queue=QueueName.CHECKS, subject_id=waiting).one().id
    wait_until(lambda: harness.get_job(check).status == "running")
    assert count_jobs(harness, "queued") == 1


def test_draining_requeues_running_jobs_and_claims_no_more(harness: WorkerHarness) -> None:
    dataset = {"id": harness.add_ready_dataset()}
    job_ids = [harness.submit(dataset=dataset) for _ in range(2)]
    slots = Slots(harness.create_context("step(4)\nwait_for_stop()\nsave(4)"), [])
    slots.start()
    wait_until(lambda: count_jobs(harness, "running") == 1)
    slots.drain()
    jobs = [harness.get_job(job_id) for job_id in job_ids]
    assert [(job.status, job.checkpoint_step, job.spent) for job in jobs] == [
        ("queued", 4, 0),
        ("queued", None, 0),
    ]


def test_a_slot_survives_an_unavailable_database(
    harness: WorkerHarness, start_slots: SlotStarter, caplog: pytest.LogCaptureFixture
) -> None:
    harness.submit()
    context = harness.create_context(SUCCEED)
    with harness.database_unavailable():
        start_slots(context)
        wait_until(lambda: "the database is unavailable" in caplog.text)
    wait_until(lambda: count_jobs(harness, "succeeded") == 1)


def test_a_slot_survives_an_attempt_that_cannot_start(
    harness: WorkerHarness, start_slots: SlotStarter
) -> None:
    job_id = harness.submit()
    context = harness.create_context(SUCCEED)
    blocking_file: Path = context.scratch / f"{job_id}-1"
    blocking_file.write_text("a file where a folder should be")
    start_slots(context)
    wait_until(lambda: harness.get_job(job_id).status == "succeeded")
    assert harness.get_job(job_id).attempt == 2


def test_a_failed_job_waits_before_its_retry(
    harness: WorkerHarness, start_slots: SlotStarter
) -> None:
    job_id = harness.submit()
    start_slots(harness.create_context("os.kill(os.getpid(), signal.SIGKILL)", retry_seconds=3600))
    wait_until(
        lambda: harness.get_job(job_id).status == "queued" and harness.get_job(job_id).spent == 1
    )
    job = harness.get_job(job_id)
    assert job.not_before is not None
    assert job.not_before > job.created_at + timedelta(minutes=5)


def test_a_slot_claims_only_jobs_that_its_machine_can_run(
    harness: WorkerHarness, start_slots: SlotStarter
) -> None:
    dataset = {"id": harness.add_ready_dataset()}
    gpu = harness.submit(dataset=dataset, priority=9, resources={"device": "cuda"})
    cpu = harness.submit(dataset=dataset, resources={"device": "cpu"})
    slots = start_slots(harness.create_context(SUCCEED))
    assert {"train", "train-cpu", "checks"} == {entry.queue for entry in slots.capacity}
    wait_until(lambda: harness.get_job(cpu).status == "succeeded")
    assert harness.get_job(gpu).status == "queued"


def test_a_job_of_several_slots_runs_before_smaller_jobs_that_came_later(
    harness: WorkerHarness, start_slots: SlotStarter
) -> None:
    dataset = {"id": harness.add_ready_dataset()}
    first = harness.submit(dataset=dataset, priority=9)
    large = harness.submit(dataset=dataset, priority=5, resources={"device": "cpu", "processes": 2})
    small = harness.submit(dataset=dataset)
    slots = start_slots(harness.create_context("wait_for_stop()", slots=2))
    wait_until(lambda: harness.get_job(first).status == "running")
    slots.wake(TRAIN)
    assert (harness.get_job(large).status, harness.get_job(small).status) == ("queued", "queued")
    harness.run(controls.cancel, first, actor="key_test")
    wait_until(lambda: harness.get_job(large).status == "running")
    assert slots.count_busy() == {TRAIN: 2, QueueName.CHECKS: 0}
    assert harness.get_job(small).status == "queued"
    harness.run(controls.cancel, large, actor="key_test", force=True)
    wait_until(lambda: harness.get_job(small).status == "running")
    assert slots.count_busy() == {TRAIN: 1, QueueName.CHECKS: 0}


def test_a_job_that_no_worker_has_enough_slots_for_says_what_it_waits_for(
    harness: WorkerHarness, start_slots: SlotStarter
) -> None:
    dataset = {"id": harness.add_ready_dataset()}
    large = harness.submit(dataset=dataset, resources={"device": "cpu", "processes": 3})
    small = harness.submit(dataset=dataset)
    start_slots(harness.create_context(SUCCEED, slots=2))
    wait_until(lambda: harness.get_job(small).status == "succeeded")
    assert harness.get_job(large).status == "queued"
    with harness.database.read() as session:
        reasons = capacity.explain_waiting(
            session, [session.get_one(Job, large)], alive_within=timedelta(minutes=1)
        )
    assert reasons == {large: "a worker with 3 slots for one job (none is alive)"}


def test_a_job_of_several_gpus_takes_each_gpu_once(harness: WorkerHarness) -> None:
    gpus = [{"kind": "cuda", "memory_bytes": 2**30}] * 2
    slots = Slots(harness.create_context(slots=4, gpus=2), gpus)  # two slots share each GPU
    assert {entry.queue: entry.slots for entry in slots.capacity} == {
        QueueName.CHECKS: 1,
        "train": 1,
        "train-cpu": 4,
        "train-cuda": 2,
    }
    idle = next(slot for slot in slots._slots if slot.kind == TRAIN)._idle_slots
    assert idle.count_available(2, ["train-cuda", "train-cpu", "train"]) == {
        "train-cuda": 2,
        "train-cpu": 4,
        "train": 1,
    }
    assert idle.take(2, "train-cuda", 2) == [2, 1]
    assert idle.count_available(0, ["train-cuda"]) == {"train-cuda": 2}
    assert idle.take(0, "train-cuda", 1) == [0]
    assert idle.slots == {3}


def test_a_worker_serves_only_the_configured_queues(
    harness: WorkerHarness, start_slots: SlotStarter
) -> None:
    dataset = {"id": harness.add_ready_dataset()}
    anywhere = harness.submit(dataset=dataset)
    cpu = harness.submit(dataset=dataset, resources={"device": "cpu"})
    slots = start_slots(harness.create_context(SUCCEED, queues="train-cpu"))
    assert (slots.count(), [entry.queue for entry in slots.capacity]) == ({TRAIN: 1}, ["train-cpu"])
    wait_until(lambda: harness.get_job(cpu).status == "succeeded")
    assert harness.get_job(anywhere).status == "queued"
