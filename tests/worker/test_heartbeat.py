"""Tests for heartbeats, which renew the lease, record updates and receive stop requests."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event as Flag
from threading import Thread
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from registry.attempts import claims
from registry.attempts.claims import Claim, MetricPoint
from registry.attempts.maintenance import expire_leases
from registry.errors import LeaseLost
from registry.jobs import controls, queries
from registry.jobs.lifecycle import JobStatus
from tests.worker.conftest import WorkerHarness, wait_until
from worker.context import WorkerContext
from worker.heartbeat import Heartbeat


@pytest.fixture
def context(harness: WorkerHarness) -> WorkerContext:
    return harness.create_context()


@pytest.fixture
def claim(harness: WorkerHarness, context: WorkerContext) -> Claim:
    harness.submit()
    return harness.claim_job(context)


@contextmanager
def start_heartbeat(context: WorkerContext, claim: Claim) -> Iterator[Heartbeat]:
    heartbeat = Heartbeat(context, claim)
    heartbeat.start()
    yield heartbeat
    heartbeat.stop()


def list_notices(harness: WorkerHarness, claim: Claim) -> list[dict[str, Any]]:
    return [data for kind, data in harness.events(claim.job_id) if kind == "notice"]


def list_metrics(harness: WorkerHarness, claim: Claim) -> list[tuple[str, int, float | None]]:
    with harness.database.read() as session:
        return [
            (row.name, row.step, row.value) for row in queries.list_metrics(session, claim.job_id)
        ]


def test_a_heartbeat_renews_the_lease(
    harness: WorkerHarness, context: WorkerContext, claim: Claim
) -> None:
    before = harness.get_job(claim.job_id).lease_until
    assert before is not None
    with start_heartbeat(context, claim) as heartbeat:
        later = before + timedelta(seconds=0.1)
        wait_until(lambda: (harness.get_job(claim.job_id).lease_until or before) > later)
        assert not heartbeat.lease_lost


def test_a_stopped_heartbeat_sends_no_more(context: WorkerContext, claim: Claim) -> None:
    with start_heartbeat(context, claim) as heartbeat:
        pass
    assert not heartbeat._thread.is_alive()


def test_a_heartbeat_records_all_pending_updates(
    harness: WorkerHarness, context: WorkerContext, claim: Claim
) -> None:
    heartbeat = Heartbeat(context, claim)
    heartbeat.add_event("notice", {"message": "first"})
    heartbeat.add_event("notice", {"message": "second"})
    heartbeat.add_point(MetricPoint(3, 1, {"train/loss": 0.5, "val/top1": float("nan")}))
    heartbeat.set_progress(step=2, steps=10, epoch=1, epochs=1)
    heartbeat.set_progress(step=3)
    heartbeat.send()
    assert list_notices(harness, claim) == [{"message": "first"}, {"message": "second"}]
    assert list_metrics(harness, claim) == [("train/loss", 3, 0.5), ("val/top1", 3, None)]
    progress = harness.get_job(claim.job_id).progress
    assert (progress["step"], progress["steps"]) == (3, 10)


def test_updates_are_recorded_once(
    harness: WorkerHarness, context: WorkerContext, claim: Claim
) -> None:
    heartbeat = Heartbeat(context, claim)
    heartbeat.add_event("notice", {"message": "once"})
    heartbeat.send()
    heartbeat.send()
    assert list_notices(harness, claim) == [{"message": "once"}]


def test_updates_stay_pending_in_order_while_the_database_is_unavailable(
    harness: WorkerHarness, context: WorkerContext, claim: Claim
) -> None:
    heartbeat = Heartbeat(context, claim)
    heartbeat.add_event("notice", {"message": "before"})
    heartbeat.set_progress(step=1, phase="training")
    with harness.database_unavailable():
        heartbeat.send()
        heartbeat.add_event("notice", {"message": "after"})
        heartbeat.set_progress(step=2)
        heartbeat.send()
        assert not heartbeat.lease_lost
    heartbeat.send()
    assert list_notices(harness, claim) == [{"message": "before"}, {"message": "after"}]
    progress = harness.get_job(claim.job_id).progress
    assert (progress["step"], progress["phase"]) == (2, "training")


def test_a_cancel_order_reaches_the_worker(
    harness: WorkerHarness, context: WorkerContext, claim: Claim
) -> None:
    with start_heartbeat(context, claim) as heartbeat:
        assert heartbeat.stop_order is None
        harness.run(controls.cancel, claim.job_id, actor="key_test")
        wait_until(lambda: heartbeat.stop_order == "cancel")
        harness.run(controls.cancel, claim.job_id, actor="key_test", force=True)
        wait_until(lambda: heartbeat.stop_order == "kill")


def test_a_worker_that_lost_its_lease_notices_and_writes_nothing(
    harness: WorkerHarness, context: WorkerContext, claim: Claim
) -> None:
    harness.expire_lease(claim)
    harness.run(expire_leases)
    successor = harness.claim(worker_id="worker_other")
    assert successor is not None
    before = harness.events(claim.job_id), harness.get_job(claim.job_id).lease_until
    with start_heartbeat(context, claim) as heartbeat:
        heartbeat.add_event("notice", {"message": "too late"})
        wait_until(lambda: heartbeat.lease_lost)
        wait_until(lambda: not heartbeat._thread.is_alive())
    assert (harness.events(claim.job_id), harness.get_job(claim.job_id).lease_until) == before


def test_a_lease_that_cannot_be_renewed_counts_as_lost(
    harness: WorkerHarness, claim: Claim
) -> None:
    heartbeat = Heartbeat(harness.create_context(lease_seconds=0.05), claim)
    assert not heartbeat.lease_lost
    with harness.database_unavailable():
        heartbeat.send()
        wait_until(lambda: heartbeat.lease_lost)


def make_transaction(claim: Claim, attempted: Flag) -> Callable[[Session], str]:
    """Return a transaction that sets the flag `attempted` each time it starts."""

    def write(session: Session) -> str:
        attempted.set()
        claims.advance_status(session, claim, JobStatus.RUNNING)
        return "written"

    return write


def test_a_write_waits_until_the_database_is_available(
    harness: WorkerHarness, context: WorkerContext, claim: Claim
) -> None:
    attempted = Flag()
    results: list[str] = []

    def write() -> None:
        heartbeat, transaction = Heartbeat(context, claim), make_transaction(claim, attempted)
        results.append(heartbeat.write_with_retry(transaction))

    writer = Thread(target=write)
    with harness.database_unavailable():
        writer.start()
        assert attempted.wait(60)
    writer.join()
    assert (results, harness.get_job(claim.job_id).status) == (["written"], "running")


def test_retries_end_when_the_lease_is_over(harness: WorkerHarness, claim: Claim) -> None:
    context = harness.create_context(lease_seconds=0.01)
    with harness.database_unavailable(), pytest.raises(OperationalError):
        Heartbeat(context, claim).write_with_retry(make_transaction(claim, Flag()))


def test_a_worker_that_lost_its_lease_cannot_write(
    harness: WorkerHarness, context: WorkerContext, claim: Claim
) -> None:
    harness.expire_lease(claim)
    harness.run(expire_leases)
    with pytest.raises(LeaseLost):
        Heartbeat(context, claim).write_with_retry(make_transaction(claim, Flag()))
    assert harness.get_job(claim.job_id).status == "queued"
