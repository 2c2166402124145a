"""Whose a failure is, and whether it is tried again."""

from datetime import timedelta
from typing import Any

import pytest

from registry import claims, jobs, sweeps
from registry.tables import Dataset

World = Any  # tests/registry/conftest.py
MISHAP = {"code": "trainer_died", "message": "Killed.", "hint": "More memory.", "retryable": True}
MISTAKE = {"code": "training_diverged", "message": "NaN.", "hint": "", "retryable": False}


def attempt(world: World, *, saved: int | None, lost: bool = False, error: dict[str, Any] = MISHAP) -> Any:
    """An attempt that leaves a checkpoint or none, and ends badly; returns the job."""
    claim = world.claim()
    if saved is not None:
        world.do(claims.checkpoint, claim, f"checkpoints/{saved}", saved)
    if lost:
        world.lose_lease(claim)
        world.do(sweeps.expire)
    else:
        world.do(claims.fail, claim, error=error)
    return world.job(claim.job_id)


@pytest.mark.parametrize(("error", "kind"), [(MISTAKE, "user"), (MISHAP, "infrastructure")])
def test_an_error_says_whose_it_is(world: World, error: dict[str, Any], kind: str) -> None:
    world.submit(max_attempts=1)
    job = attempt(world, saved=None, error=error)
    assert (job.status, job.error["class"], job.error["attempt"], job.error["retryable"]) == ("failed", kind, 1, False)
    with world.database.read() as session:
        assert jobs.attempts(session, job.id)[0].error["class"] == kind


def test_a_lost_worker_is_a_preemption(world: World) -> None:
    world.submit()
    job = attempt(world, saved=None, lost=True)
    with world.database.read() as session:
        assert jobs.attempts(session, job.id)[0].error["class"] == "preemption"
    assert job.status == "queued"


def test_two_attempts_in_a_row_without_a_newer_checkpoint_are_enough(world: World) -> None:
    world.submit(max_attempts=10)
    assert attempt(world, saved=10).status == "queued"
    assert attempt(world, saved=None).status == "queued"
    job = attempt(world, saved=10)  # where the one before had been already
    assert job.status == "failed"
    assert (job.error["code"], job.error["cause"], job.error["class"]) == ("no_progress", "trainer_died", "infrastructure")


def test_an_attempt_that_gets_on_begins_the_count_anew(world: World) -> None:
    world.submit(max_attempts=10)
    steps = (10, None, 20, None, 30, None)
    assert [attempt(world, saved=step).status for step in steps] == ["queued"] * 6
    assert attempt(world, saved=None).status == "failed"


def test_a_preempted_job_that_gets_on_spends_no_attempts(world: World) -> None:
    world.submit(max_attempts=2)
    for step in range(1, 6):
        job = attempt(world, saved=step, lost=True)
    assert (job.status, job.spent) == ("queued", 0)
    assert attempt(world, saved=None, lost=True).spent == 1


def test_a_job_with_mishaps_spends_its_attempts_although_it_gets_on(world: World) -> None:
    world.submit(max_attempts=3)
    for step in range(1, 4):
        job = attempt(world, saved=step)
    assert (job.status, job.error["code"]) == ("failed", "attempts_spent")


def test_checks_have_no_checkpoints_and_may_fail_so_often(world: World) -> None:
    dataset = world.dataset()
    for _ in range(2):
        world.do(claims.fail, world.claim("checks"), error=MISHAP)
    assert world.claim("checks") is not None
    with world.database.read() as session:
        assert session.get_one(Dataset, dataset).status == "validating"


def test_a_lost_worker_s_job_waits_before_its_next_attempt(world: World) -> None:
    claim = world.running()
    world.lose_lease(claim)
    world.do(sweeps.expire, retry_after=timedelta(minutes=1))
    assert world.claim() is None
    job = world.job(claim.job_id)
    assert job.not_before > job.created_at + timedelta(seconds=50)
