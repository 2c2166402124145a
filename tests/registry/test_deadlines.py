"""Jobs that have to be done in time."""

from datetime import timedelta
from typing import Any

import pytest

from registry import claims, controls, deadlines, jobs, sweeps
from registry.db import now
from registry.errors import DeadlinePassed

World = Any  # tests/registry/conftest.py
LEASE, HOUR = timedelta(seconds=60), timedelta(hours=1)


def moment(world: World, ahead: timedelta) -> str:
    with world.database.read() as session:
        return (now(session) + ahead).isoformat()


def time_passes(world: World, job_id: str) -> None:
    """Until after the job's end."""
    world.do(lambda session: setattr(session.get_one(jobs.Job, job_id), "expires_at", now(session)))


def test_a_deadline_that_has_passed_is_refused_with_its_field(world: World) -> None:
    with pytest.raises(DeadlinePassed) as refused:
        world.submit(deadline=moment(world, -HOUR))
    assert refused.value.pointer == "/deadline"


def test_a_waiting_job_expires_with_its_reason(world: World) -> None:
    job_id = world.submit(deadline=moment(world, HOUR))
    world.do(deadlines.expire_waiting)
    assert world.job(job_id).status == "queued"
    world.do(
        lambda session: [
            setattr(session.get_one(jobs.Job, job_id), name, now(session) - HOUR) for name in ("deadline", "expires_at")
        ]
    )
    assert world.claim() is None  # too late to begin, whoever is first
    world.do(deadlines.expire_waiting)
    job = world.job(job_id)
    assert (job.status, job.finished_at is not None) == ("expired", True)
    assert job.error["code"] == "deadline_passed"
    assert job.error["hint"]


def test_a_paused_job_expires_too(world: World) -> None:
    job_id = world.submit(deadline=moment(world, HOUR))
    world.do(controls.pause, job_id, actor="key")
    time_passes(world, job_id)
    world.do(deadlines.expire_waiting)
    assert world.job(job_id).status == "expired"


def test_the_seconds_of_a_job_begin_with_its_first_start(world: World) -> None:
    job_id = world.submit(max_seconds=3600)
    assert world.job(job_id).expires_at is None
    first = world.claim()
    job = world.job(job_id)
    assert timedelta(minutes=59) < job.expires_at - job.created_at < timedelta(minutes=61)
    world.do(claims.give_back, first)
    world.claim()
    assert world.job(job_id).expires_at == job.expires_at  # attempts share them


def test_the_deadline_stands_where_it_comes_before_the_seconds_are_over(world: World) -> None:
    job_id = world.submit(max_seconds=7200, deadline=moment(world, HOUR))
    world.claim()
    assert world.job(job_id).expires_at == world.job(job_id).deadline


def test_a_running_job_is_stopped_by_its_worker_and_expires_with_its_checkpoint(world: World) -> None:
    claim = world.running(max_seconds=60)
    assert world.do(claims.heartbeat, claim, lease=LEASE).stop is None
    time_passes(world, claim.job_id)
    assert world.do(claims.heartbeat, claim, lease=LEASE).stop == "expire"
    world.do(claims.checkpoint, claim, "checkpoints/1", 10)
    world.do(claims.expired, claim)
    job = world.job(claim.job_id)
    assert (job.status, job.checkpoint_step, job.error["message"]) == ("expired", 10, "The job's 60 seconds are over.")
    with world.database.read() as session:
        assert [attempt.status for attempt in jobs.attempts(session, job.id)] == ["expired"]
    world.do(controls.retry, job.id, actor="key", more_time={})
    assert world.claim().resume_from == "checkpoints/1"
    assert world.job(job.id).expires_at > job.expires_at  # its seconds begin anew


def test_a_job_that_loses_its_worker_after_its_time_is_not_tried_again(world: World) -> None:
    claim = world.running(max_seconds=60)
    time_passes(world, claim.job_id)
    world.lose_lease(claim)
    assert world.do(sweeps.expire).hints == []
    assert world.job(claim.job_id).status == "expired"


def test_a_cancel_that_came_before_is_heeded(world: World) -> None:
    claim = world.running(max_seconds=60)
    world.do(jobs.cancel, claim.job_id, actor="key")
    world.do(claims.expired, claim)
    assert world.job(claim.job_id).status == "cancelled"


def test_a_job_that_finishes_late_has_finished(world: World) -> None:
    claim = world.running(max_seconds=60)
    time_passes(world, claim.job_id)
    assert world.finish(claim) is not None
