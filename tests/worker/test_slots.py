"""Slots claim, work and claim again; woken or by themselves."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from registry import jobs, offers
from registry.tables import Job
from registry.uploads import CHECKS
from tests.worker.conftest import Workshop, soon
from worker.kit import Kit
from worker.slots import Slots

SUCCEED = "export()\nfinish()"
TRAIN = offers.TRAIN


class Running:
    """Slots that are drained with the test."""

    def __init__(self) -> None:
        self.all: list[Slots] = []

    def __call__(self, kit: Kit) -> Slots:
        self.all.append(Slots(kit, []))
        self.all[-1].start()
        return self.all[-1]


@pytest.fixture
def running() -> Iterator[Running]:
    running = Running()
    yield running
    for slots in running.all:
        slots.drain()


def count(workshop: Workshop, status: str) -> int:
    with workshop.database.read() as session:
        return session.query(Job).filter_by(status=status, queue=TRAIN).count()


def test_a_slot_works_through_its_queue_without_being_woken_again(workshop: Workshop, running: Running) -> None:
    dataset = {"id": workshop.ready_dataset()}
    for _ in range(3):
        workshop.submit(dataset=dataset)
    running(workshop.kit(SUCCEED, poll_seconds=3600))
    soon(lambda: count(workshop, "succeeded") == 3)


def test_a_hint_wakes_the_slots_of_its_queue_at_once(workshop: Workshop, running: Running) -> None:
    dataset = {"id": workshop.ready_dataset()}
    kit = workshop.kit(SUCCEED, poll_seconds=3600)
    slots = running(kit)
    soon(lambda: all(not slot.woken.is_set() for slot in slots._slots))
    workshop.submit(dataset=dataset)
    slots.wake(TRAIN)
    soon(lambda: count(workshop, "succeeded") == 1)


def test_an_idle_slot_asks_the_database_whatever_the_broker_does(workshop: Workshop, running: Running) -> None:
    dataset = {"id": workshop.ready_dataset()}
    running(workshop.kit(SUCCEED))
    workshop.submit(dataset=dataset)
    soon(lambda: count(workshop, "succeeded") == 1)


def test_as_many_jobs_run_at_once_as_there_are_slots_and_checks_beside_them(workshop: Workshop, running: Running) -> None:
    dataset = {"id": workshop.ready_dataset()}
    for _ in range(3):
        workshop.submit(dataset=dataset)
    waiting = workshop.dataset()
    running(workshop.kit("until_stopped()", slots=2))
    soon(lambda: count(workshop, "running") == 2)
    with workshop.database.read() as session:
        check = session.query(Job).filter_by(queue=CHECKS, subject_id=waiting).one().id
    soon(lambda: workshop.job(check).status == "running")
    assert count(workshop, "queued") == 1


def test_draining_gives_back_what_runs_and_claims_no_more(workshop: Workshop) -> None:
    dataset = {"id": workshop.ready_dataset()}
    job_ids = [workshop.submit(dataset=dataset) for _ in range(2)]
    slots = Slots(workshop.kit("step(4)\nuntil_stopped()\nsave(4)"), [])
    slots.start()
    soon(lambda: count(workshop, "running") == 1)
    slots.drain()
    found = [workshop.job(job_id) for job_id in job_ids]
    assert [(job.status, job.checkpoint_step, job.spent) for job in found] == [("queued", 4, 0), ("queued", None, 0)]


def test_a_slot_outlives_a_database_that_is_away(workshop: Workshop, running: Running, caplog: pytest.LogCaptureFixture) -> None:
    workshop.submit()
    kit = workshop.kit(SUCCEED)
    with workshop.away():
        running(kit)
        soon(lambda: "the database does not answer" in caplog.text)
    soon(lambda: count(workshop, "succeeded") == 1)


def test_a_slot_outlives_an_attempt_that_cannot_even_begin(workshop: Workshop, running: Running) -> None:
    job_id = workshop.submit()
    kit = workshop.kit(SUCCEED)
    in_the_way: Path = kit.scratch / f"{job_id}-1"
    in_the_way.write_text("a file where a folder should be")
    running(kit)
    soon(lambda: workshop.job(job_id).status == "succeeded")
    assert workshop.job(job_id).attempt == 2


def test_a_job_that_failed_waits_for_its_time(workshop: Workshop, running: Running) -> None:
    job_id = workshop.submit()
    running(workshop.kit("os.kill(os.getpid(), signal.SIGKILL)", retry_seconds=3600))
    soon(lambda: workshop.job(job_id).status == "queued" and workshop.job(job_id).spent == 1)
    job = workshop.job(job_id)
    assert job.not_before is not None
    assert job.not_before > job.created_at + timedelta(minutes=5)


def test_a_slot_takes_only_jobs_that_its_machine_serves(workshop: Workshop, running: Running) -> None:
    dataset = {"id": workshop.ready_dataset()}
    gpu = workshop.submit(dataset=dataset, priority=9, resources={"device": "cuda"})
    processor = workshop.submit(dataset=dataset, resources={"device": "cpu"})
    slots = running(workshop.kit(SUCCEED))
    assert {"train", "train-cpu", "checks"} == {offer.queue for offer in slots.offers}
    soon(lambda: workshop.job(processor).status == "succeeded")
    assert workshop.job(gpu).status == "queued"


def test_a_job_of_several_slots_goes_before_the_smaller_ones_that_came_after_it(workshop: Workshop, running: Running) -> None:
    dataset = {"id": workshop.ready_dataset()}
    first = workshop.submit(dataset=dataset, priority=9)
    large = workshop.submit(dataset=dataset, priority=5, resources={"device": "cpu", "processes": 2})
    small = workshop.submit(dataset=dataset)
    slots = running(workshop.kit("until_stopped()", slots=2))
    soon(lambda: workshop.job(first).status == "running")
    slots.wake(TRAIN)
    assert (workshop.job(large).status, workshop.job(small).status) == ("queued", "queued")
    workshop.do(jobs.cancel, first, actor="key_test")
    soon(lambda: workshop.job(large).status == "running")
    assert slots.busy() == {TRAIN: 2, CHECKS: 0}
    assert workshop.job(small).status == "queued"
    workshop.do(jobs.cancel, large, actor="key_test", force=True)
    soon(lambda: workshop.job(small).status == "running")
    assert slots.busy() == {TRAIN: 1, CHECKS: 0}


def test_a_job_of_more_slots_than_a_worker_has_says_what_it_waits_for(workshop: Workshop, running: Running) -> None:
    dataset = {"id": workshop.ready_dataset()}
    large = workshop.submit(dataset=dataset, resources={"device": "cpu", "processes": 3})
    small = workshop.submit(dataset=dataset)
    running(workshop.kit(SUCCEED, slots=2))
    soon(lambda: workshop.job(small).status == "succeeded")
    assert workshop.job(large).status == "queued"
    with workshop.database.read() as session:
        found = offers.waiting_for(session, [session.get_one(Job, large)], alive=timedelta(minutes=1))
    assert found == {large: "a worker with 3 slots a job: none is alive"}


def test_each_gpu_is_taken_once_by_a_job_of_several(workshop: Workshop) -> None:
    gpus = [{"kind": "cuda", "memory_bytes": 2**30}] * 2
    slots = Slots(workshop.kit(slots=4, gpus=2), gpus)  # two slots share each GPU
    assert {offer.queue: offer.slots for offer in slots.offers} == {CHECKS: 1, "train": 1, "train-cpu": 4, "train-cuda": 2}
    idle = next(slot for slot in slots._slots if slot.work == TRAIN)._idle
    assert idle.free(2, ["train-cuda", "train-cpu", "train"]) == {"train-cuda": 2, "train-cpu": 4, "train": 1}
    assert idle.take(2, "train-cuda", 2) == [2, 1]
    assert idle.free(0, ["train-cuda"]) == {"train-cuda": 2}
    assert idle.take(0, "train-cuda", 1) == [0]
    assert idle.slots == {3}


def test_a_worker_serves_the_queues_that_it_is_told_to(workshop: Workshop, running: Running) -> None:
    dataset = {"id": workshop.ready_dataset()}
    anywhere = workshop.submit(dataset=dataset)
    processor = workshop.submit(dataset=dataset, resources={"device": "cpu"})
    slots = running(workshop.kit(SUCCEED, queues="train-cpu"))
    assert (slots.count(), [offer.queue for offer in slots.offers]) == ({TRAIN: 1}, ["train-cpu"])
    soon(lambda: workshop.job(processor).status == "succeeded")
    assert workshop.job(anywhere).status == "queued"
