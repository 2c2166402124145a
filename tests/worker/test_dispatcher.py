"""The loop that looks after all jobs."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from registry import artifacts, workers
from registry.db import now
from registry.store import Store
from registry.tables import Dataset, Job, Leader, WorkerRow
from registry.uploads import CHECKS
from tests.worker.conftest import Workshop, soon
from worker import inventory
from worker.dispatcher import Dispatcher
from worker.kit import Kit

PATIENCE = timedelta(seconds=10)


class Dispatchers:
    """Dispatchers that are stopped with the test."""

    def __init__(self) -> None:
        self.all: list[Dispatcher] = []

    def __call__(self, kit: Kit) -> Dispatcher:
        self.all.append(Dispatcher(kit, inventory.facts(kit.settings, [])))
        return self.all[-1]


@pytest.fixture
def dispatcher() -> Iterator[Dispatchers]:
    dispatchers = Dispatchers()
    yield dispatchers
    for one in dispatchers.all:
        if one.is_alive():
            one.stop()


def leader(workshop: Workshop) -> str | None:
    with workshop.database.read() as session:
        return next((row.holder for row in session.query(Leader)), None)


def living(workshop: Workshop) -> list[str]:
    with workshop.database.read() as session:
        return [row.id for row in workers.alive(session, within=PATIENCE)]


def test_a_worker_announces_what_it_is(workshop: Workshop, dispatcher: Dispatchers) -> None:
    kit = workshop.kit(slots=3, worker_name="big one")
    dispatcher(kit).round()
    assert living(workshop) == [kit.worker_id]
    with workshop.database.read() as session:
        row = session.query(WorkerRow).one()
    assert (row.name, row.slots) == ("big one", {"train": 3, "checks": 1})


def test_a_worker_whose_row_was_pruned_announces_itself_again(workshop: Workshop, dispatcher: Dispatchers) -> None:
    kit = workshop.kit()
    one = dispatcher(kit)
    one.round()
    workshop.do(workers.leave, kit.worker_id)
    one.round()
    assert living(workshop) == [kit.worker_id]


def test_one_leads_and_the_next_only_when_it_has_gone(workshop: Workshop, dispatcher: Dispatchers) -> None:
    first, second = workshop.kit(), workshop.kit()
    one, two = dispatcher(first), dispatcher(second)
    one.start()
    soon(lambda: leader(workshop) == first.worker_id)
    workshop.submit()
    two.round()
    assert leader(workshop) == first.worker_id
    one.stop()
    assert living(workshop) == [second.worker_id]
    two.round()
    assert leader(workshop) == second.worker_id


def test_free_slots_are_filled_with_hints_the_best_job_first(workshop: Workshop, dispatcher: Dispatchers) -> None:
    dataset = {"id": workshop.ready_dataset()}
    workshop.submit(dataset=dataset)
    urgent = workshop.submit(dataset=dataset, priority=5)
    dispatcher(workshop.kit()).round()
    assert workshop.queue.sent == [("train", urgent)]


def test_a_hint_is_not_sent_again_in_the_next_round(workshop: Workshop, dispatcher: Dispatchers) -> None:
    job_id = workshop.submit()
    one = dispatcher(workshop.kit())
    one.round()
    one.round()
    assert workshop.queue.sent == [("train", job_id)]


def test_a_lost_lease_brings_the_job_back_with_a_hint(workshop: Workshop, dispatcher: Dispatchers) -> None:
    workshop.submit()
    claim = workshop.claim()
    assert claim is not None
    workshop.lose_lease(claim)
    dispatcher(workshop.kit()).round()
    assert workshop.job(claim.job_id).status == "queued"
    assert workshop.queue.sent == [("train", claim.job_id)]


def test_a_job_whose_hint_was_lost_with_the_worker_that_checked_its_input_is_queued(
    workshop: Workshop, dispatcher: Dispatchers
) -> None:
    dataset_id = workshop.dataset()
    job_id = workshop.submit(dataset={"id": dataset_id})
    with workshop.database.write() as session:
        row = session.get_one(Dataset, dataset_id)
        row.status, row.classes, row.packed_sha256 = "ready", ["a", "b"], row.sha256
        row.image = {"channels": 3, "height": 32, "width": 32}
    dispatcher(workshop.kit()).round()
    assert workshop.job(job_id).status == "queued"
    assert ("train", job_id) in workshop.queue.sent


def test_a_check_that_always_loses_its_worker_leaves_no_file(workshop: Workshop, dispatcher: Dispatchers) -> None:
    dataset_id = workshop.dataset()
    one = dispatcher(workshop.kit())
    with workshop.database.read() as session:
        digest = session.get_one(Dataset, dataset_id).sha256
    while (claim := workshop.claim(CHECKS)) is not None:
        assert workshop.store.exists(digest)
        workshop.lose_lease(claim)
        one.round()
    assert not workshop.store.exists(digest)


def test_the_loop_outlives_rounds_that_fail(
    workshop: Workshop, dispatcher: Dispatchers, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = workshop.submit()
    one = dispatcher(workshop.kit())
    with workshop.away():
        one.start()
        soon(lambda: "a round of the dispatcher failed" in caplog.text)
    soon(lambda: workshop.queue.sent == [("train", job_id)])


def test_a_store_that_cannot_be_tidied_holds_up_no_job(
    workshop: Workshop, dispatcher: Dispatchers, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Store(f"file://{tmp_path / 'broken'}", scratch=tmp_path / "incoming")
    shutil.rmtree(tmp_path / "broken")
    (tmp_path / "broken").write_text("a file where a folder should be")
    job_id = workshop.submit()
    workshop.do(artifacts.record, workshop.store, workshop.put(b"nobody names this"))
    dispatcher(workshop.kit(store=broken, gc_grace_seconds=0)).start()
    soon(lambda: "a round of the dispatcher failed" in caplog.text)
    assert workshop.queue.sent == [("train", job_id)]


def test_stopping_without_a_database_is_no_error(
    workshop: Workshop, dispatcher: Dispatchers, caplog: pytest.LogCaptureFixture
) -> None:
    one = dispatcher(workshop.kit(dispatch_seconds=3600))
    one.start()
    soon(lambda: leader(workshop) is not None)
    with workshop.away():
        one.stop()
    assert "could not sign off" in caplog.text


def test_a_waiting_job_whose_deadline_has_passed_expires(workshop: Workshop, dispatcher: Dispatchers) -> None:
    job_id = workshop.submit()
    workshop.do(lambda session: setattr(session.get_one(Job, job_id), "expires_at", now(session)))
    dispatcher(workshop.kit()).round()
    assert workshop.job(job_id).status == "expired"
    assert workshop.queue.sent == []
