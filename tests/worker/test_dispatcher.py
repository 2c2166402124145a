"""Tests for the dispatcher loop of a worker, including the tasks that only the leader does."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from registry.db.database import now
from registry.db.input_tables import Dataset
from registry.db.job_tables import Job
from registry.db.worker_tables import Leader, WorkerRow
from registry.jobs.queue_names import QueueName
from registry.storage import artifacts
from registry.storage.object_store import Store
from registry.workers import membership
from tests.worker.conftest import WorkerHarness, wait_until
from worker import hardware
from worker.context import WorkerContext
from worker.dispatcher import Dispatcher

LEASE = timedelta(seconds=10)


class DispatcherFactory:
    """Creates dispatchers and keeps them, so that the fixture can stop them after the test."""

    def __init__(self) -> None:
        self.started: list[Dispatcher] = []

    def __call__(self, context: WorkerContext) -> Dispatcher:
        self.started.append(Dispatcher(context, hardware.describe_worker(context.settings, [])))
        return self.started[-1]


@pytest.fixture
def make_dispatcher() -> Iterator[DispatcherFactory]:
    dispatchers = DispatcherFactory()
    yield dispatchers
    for dispatcher in dispatchers.started:
        if dispatcher.is_alive():
            dispatcher.stop()


def get_leader(harness: WorkerHarness) -> str | None:
    with harness.database.read() as session:
        return next((row.holder for row in session.query(Leader)), None)


def list_alive(harness: WorkerHarness) -> list[str]:
    with harness.database.read() as session:
        return [row.id for row in membership.list_alive(session, within=LEASE)]


def test_a_worker_registers_with_its_name_and_slots(
    harness: WorkerHarness, make_dispatcher: DispatcherFactory
) -> None:
    context = harness.create_context(slots=3, worker_name="big one")
    make_dispatcher(context).run_once()
    assert list_alive(harness) == [context.worker_id]
    with harness.database.read() as session:
        row = session.query(WorkerRow).one()
    assert (row.name, row.slots) == ("big one", {"train": 3, "checks": 1})


def test_a_worker_whose_row_was_pruned_registers_again(
    harness: WorkerHarness, make_dispatcher: DispatcherFactory
) -> None:
    context = harness.create_context()
    dispatcher = make_dispatcher(context)
    dispatcher.run_once()
    harness.run(membership.unregister, context.worker_id)
    dispatcher.run_once()
    assert list_alive(harness) == [context.worker_id]


def test_another_worker_leads_only_after_the_leader_stopped(
    harness: WorkerHarness, make_dispatcher: DispatcherFactory
) -> None:
    first, second = harness.create_context(), harness.create_context()
    leading, waiting = make_dispatcher(first), make_dispatcher(second)
    leading.start()
    wait_until(lambda: get_leader(harness) == first.worker_id)
    harness.submit()
    waiting.run_once()
    assert get_leader(harness) == first.worker_id
    leading.stop()
    assert list_alive(harness) == [second.worker_id]
    waiting.run_once()
    assert get_leader(harness) == second.worker_id


def test_a_free_slot_gets_a_hint_for_the_most_urgent_job(
    harness: WorkerHarness, make_dispatcher: DispatcherFactory
) -> None:
    dataset = {"id": harness.add_ready_dataset()}
    harness.submit(dataset=dataset)
    urgent = harness.submit(dataset=dataset, priority=5)
    make_dispatcher(harness.create_context()).run_once()
    assert harness.queue.sent == [("train", urgent)]


def test_a_hint_is_not_sent_again_in_the_next_round(
    harness: WorkerHarness, make_dispatcher: DispatcherFactory
) -> None:
    job_id = harness.submit()
    dispatcher = make_dispatcher(harness.create_context())
    dispatcher.run_once()
    dispatcher.run_once()
    assert harness.queue.sent == [("train", job_id)]


def test_a_job_whose_lease_expired_is_requeued_with_a_hint(
    harness: WorkerHarness, make_dispatcher: DispatcherFactory
) -> None:
    harness.submit()
    claim = harness.claim()
    assert claim is not None
    harness.expire_lease(claim)
    make_dispatcher(harness.create_context()).run_once()
    assert harness.get_job(claim.job_id).status == "queued"
    assert harness.queue.sent == [("train", claim.job_id)]


def test_a_job_is_queued_if_the_worker_that_checked_its_input_died_before_the_hint(
    harness: WorkerHarness, make_dispatcher: DispatcherFactory
) -> None:
    dataset_id = harness.upload_dataset()
    job_id = harness.submit(dataset={"id": dataset_id})
    with harness.database.write() as session:
        row = session.get_one(Dataset, dataset_id)
        row.status, row.classes, row.packed_sha256 = "ready", ["a", "b"], row.sha256
        row.image = {"channels": 3, "height": 32, "width": 32}
    make_dispatcher(harness.create_context()).run_once()
    assert harness.get_job(job_id).status == "queued"
    assert ("train", job_id) in harness.queue.sent


def test_the_file_of_a_check_that_spent_its_attempts_is_deleted(
    harness: WorkerHarness, make_dispatcher: DispatcherFactory
) -> None:
    dataset_id = harness.upload_dataset()
    dispatcher = make_dispatcher(harness.create_context())
    with harness.database.read() as session:
        digest = session.get_one(Dataset, dataset_id).sha256
    while (claim := harness.claim(QueueName.CHECKS)) is not None:
        assert harness.store.exists(digest)
        harness.expire_lease(claim)
        dispatcher.run_once()
    assert not harness.store.exists(digest)


def test_the_loop_survives_failed_rounds(
    harness: WorkerHarness, make_dispatcher: DispatcherFactory, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = harness.submit()
    dispatcher = make_dispatcher(harness.create_context())
    with harness.database_unavailable():
        dispatcher.start()
        wait_until(lambda: "Dispatcher round failed" in caplog.text)
    wait_until(lambda: harness.queue.sent == [("train", job_id)])


def test_a_failing_clean_up_delays_no_job(
    harness: WorkerHarness,
    make_dispatcher: DispatcherFactory,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = Store(f"file://{tmp_path / 'broken'}", scratch=tmp_path / "incoming")
    shutil.rmtree(tmp_path / "broken")
    (tmp_path / "broken").write_text("a file where a folder should be")
    job_id = harness.submit()
    harness.run(artifacts.record, harness.store, harness.store_file(b"unreferenced"))
    make_dispatcher(harness.create_context(store=broken, gc_grace_seconds=0)).start()
    wait_until(lambda: "Dispatcher round failed" in caplog.text)
    assert harness.queue.sent == [("train", job_id)]


def test_stopping_without_a_database_only_logs_a_warning(
    harness: WorkerHarness, make_dispatcher: DispatcherFactory, caplog: pytest.LogCaptureFixture
) -> None:
    dispatcher = make_dispatcher(harness.create_context(dispatch_seconds=3600))
    dispatcher.start()
    wait_until(lambda: get_leader(harness) is not None)
    with harness.database_unavailable():
        dispatcher.stop()
    assert "Could not unregister" in caplog.text


def test_a_waiting_job_whose_deadline_has_passed_expires(
    harness: WorkerHarness, make_dispatcher: DispatcherFactory
) -> None:
    job_id = harness.submit()
    harness.run(lambda session: setattr(session.get_one(Job, job_id), "expires_at", now(session)))
    make_dispatcher(harness.create_context()).run_once()
    assert harness.get_job(job_id).status == "expired"
    assert harness.queue.sent == []
