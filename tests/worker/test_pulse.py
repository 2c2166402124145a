"""Heartbeats: the lease renewed, the news written, the orders brought back."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from registry import jobs
from registry.claims import Claim, Point
from registry.sweeps import expire
from tests.worker.conftest import Workshop, soon
from worker.kit import Kit
from worker.pulse import Pulse


@pytest.fixture
def kit(workshop: Workshop) -> Kit:
    return workshop.kit()


@pytest.fixture
def claim(workshop: Workshop, kit: Kit) -> Claim:
    workshop.submit()
    return workshop.take(kit)


@contextmanager
def beating(kit: Kit, claim: Claim) -> Iterator[Pulse]:
    pulse = Pulse(kit, claim)
    pulse.start()
    yield pulse
    pulse.stop()


def told(workshop: Workshop, claim: Claim) -> list[dict[str, Any]]:
    return [data for kind, data in workshop.events(claim.job_id) if kind == "notice"]


def series(workshop: Workshop, claim: Claim) -> list[tuple[str, int, float | None]]:
    with workshop.database.read() as session:
        return [(row.name, row.step, row.value) for row in jobs.metrics(session, claim.job_id)]


def test_a_beating_pulse_renews_the_lease(workshop: Workshop, kit: Kit, claim: Claim) -> None:
    before = workshop.job(claim.job_id).lease_until
    assert before is not None
    with beating(kit, claim) as pulse:
        soon(lambda: (workshop.job(claim.job_id).lease_until or before) > before + timedelta(seconds=0.1))
        assert not pulse.lost


def test_a_stopped_pulse_beats_no_more(kit: Kit, claim: Claim) -> None:
    with beating(kit, claim) as pulse:
        pass
    assert not pulse._thread.is_alive()


def test_a_beat_carries_all_news_at_once(workshop: Workshop, kit: Kit, claim: Claim) -> None:
    pulse = Pulse(kit, claim)
    pulse.event("notice", {"message": "first"})
    pulse.event("notice", {"message": "second"})
    pulse.point(Point(3, 1, {"train/loss": 0.5, "val/top1": float("nan")}))
    pulse.progress(step=2, steps=10, epoch=1, epochs=1)
    pulse.progress(step=3)
    pulse.beat()
    assert told(workshop, claim) == [{"message": "first"}, {"message": "second"}]
    assert series(workshop, claim) == [("train/loss", 3, 0.5), ("val/top1", 3, None)]
    progress = workshop.job(claim.job_id).progress
    assert (progress["step"], progress["steps"]) == (3, 10)


def test_news_are_written_once(workshop: Workshop, kit: Kit, claim: Claim) -> None:
    pulse = Pulse(kit, claim)
    pulse.event("notice", {"message": "once"})
    pulse.beat()
    pulse.beat()
    assert told(workshop, claim) == [{"message": "once"}]


def test_news_wait_in_their_order_while_the_database_is_away(workshop: Workshop, kit: Kit, claim: Claim) -> None:
    pulse = Pulse(kit, claim)
    pulse.event("notice", {"message": "before"})
    pulse.progress(step=1, phase="training")
    with workshop.away():
        pulse.beat()
        pulse.event("notice", {"message": "after"})
        pulse.progress(step=2)
        pulse.beat()
        assert not pulse.lost
    pulse.beat()
    assert told(workshop, claim) == [{"message": "before"}, {"message": "after"}]
    progress = workshop.job(claim.job_id).progress
    assert (progress["step"], progress["phase"]) == (2, "training")


def test_a_cancel_reaches_the_worker(workshop: Workshop, kit: Kit, claim: Claim) -> None:
    with beating(kit, claim) as pulse:
        assert pulse.order is None
        workshop.do(jobs.cancel, claim.job_id, actor="key_test")
        soon(lambda: pulse.order == "cancel")
        workshop.do(jobs.cancel, claim.job_id, actor="key_test", force=True)
        soon(lambda: pulse.order == "kill")


def test_a_worker_that_lost_its_lease_is_told_and_writes_nothing(workshop: Workshop, kit: Kit, claim: Claim) -> None:
    workshop.lose_lease(claim)
    workshop.do(expire)
    successor = workshop.claim(worker_id="worker_other")
    assert successor is not None
    before = workshop.events(claim.job_id), workshop.job(claim.job_id).lease_until
    with beating(kit, claim) as pulse:
        pulse.event("notice", {"message": "too late"})
        soon(lambda: pulse.lost)
        soon(lambda: not pulse._thread.is_alive())
    assert (workshop.events(claim.job_id), workshop.job(claim.job_id).lease_until) == before


def test_a_worker_that_cannot_renew_its_lease_takes_it_for_lost(workshop: Workshop, claim: Claim) -> None:
    pulse = Pulse(workshop.kit(lease_seconds=0.05), claim)
    assert not pulse.lost
    with workshop.away():
        pulse.beat()
        soon(lambda: pulse.lost)
