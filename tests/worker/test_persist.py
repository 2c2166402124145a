"""Transactions that outlast a database that is away for a moment."""

from collections.abc import Callable
from threading import Event as Flag
from threading import Thread

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from registry import claims
from registry.claims import Claim
from registry.errors import Fenced
from registry.lifecycle import JobStatus
from registry.sweeps import expire
from tests.worker.conftest import Workshop
from worker.kit import Kit
from worker.persist import persist
from worker.pulse import Pulse


@pytest.fixture
def kit(workshop: Workshop) -> Kit:
    return workshop.kit()


@pytest.fixture
def claim(workshop: Workshop, kit: Kit) -> Claim:
    workshop.submit()
    return workshop.take(kit)


def entering(claim: Claim, tried: Flag) -> Callable[[Session], str]:
    """A transaction that says when it is tried, and returns something."""

    def write(session: Session) -> str:
        tried.set()
        claims.enter(session, claim, JobStatus.RUNNING)
        return "entered"

    return write


def test_it_waits_for_the_database_and_then_writes(workshop: Workshop, kit: Kit, claim: Claim) -> None:
    tried = Flag()
    results: list[str] = []
    writer = Thread(target=lambda: results.append(persist(kit, Pulse(kit, claim), entering(claim, tried))))
    with workshop.away():
        writer.start()
        assert tried.wait(60)
    writer.join()
    assert (results, workshop.job(claim.job_id).status) == (["entered"], "running")


def test_it_gives_up_once_the_lease_is_over(workshop: Workshop, claim: Claim) -> None:
    kit = workshop.kit(lease_seconds=0.01)
    with workshop.away(), pytest.raises(OperationalError):
        persist(kit, Pulse(kit, claim), entering(claim, Flag()))


def test_a_worker_that_lost_its_lease_is_not_let_in(workshop: Workshop, kit: Kit, claim: Claim) -> None:
    workshop.lose_lease(claim)
    workshop.do(expire)
    with pytest.raises(Fenced):
        persist(kit, Pulse(kit, claim), entering(claim, Flag()))
    assert workshop.job(claim.job_id).status == "queued"
