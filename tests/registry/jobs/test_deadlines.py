"""Deadlines and time limits of jobs."""

from datetime import timedelta

import pytest

from registry.attempts import claims, maintenance
from registry.db.database import now
from registry.db.job_tables import Job
from registry.errors import DeadlinePassed
from registry.jobs import controls, deadlines, queries
from tests.registry.conftest import RegistryHarness

LEASE, HOUR = timedelta(seconds=60), timedelta(hours=1)


def format_time_from_now(harness: RegistryHarness, offset: timedelta) -> str:
    with harness.database.read() as session:
        return (now(session) + offset).isoformat()


def pass_deadline(harness: RegistryHarness, job_id: str) -> None:
    """Move the job's expiry time to now."""
    harness.run(lambda session: setattr(session.get_one(Job, job_id), "expires_at", now(session)))


def test_a_deadline_that_has_passed_is_refused_with_its_field(harness: RegistryHarness) -> None:
    with pytest.raises(DeadlinePassed) as refused:
        harness.submit(deadline=format_time_from_now(harness, -HOUR))
    assert refused.value.pointer == "/deadline"


def test_a_waiting_job_expires_with_an_error(harness: RegistryHarness) -> None:
    job_id = harness.submit(deadline=format_time_from_now(harness, HOUR))
    harness.run(deadlines.expire_waiting)
    assert harness.get_job(job_id).status == "queued"
    harness.run(
        lambda session: [
            setattr(session.get_one(Job, job_id), name, now(session) - HOUR)
            for name in ("deadline", "expires_at")
        ]
    )
    assert harness.claim() is None  # workers can no longer claim the job
    harness.run(deadlines.expire_waiting)
    job = harness.get_job(job_id)
    assert (job.status, job.finished_at is not None) == ("expired", True)
    assert job.error["code"] == "deadline_passed"
    assert job.error["hint"]


def test_a_paused_job_expires(harness: RegistryHarness) -> None:
    job_id = harness.submit(deadline=format_time_from_now(harness, HOUR))
    harness.run(controls.pause, job_id, actor="key")
    pass_deadline(harness, job_id)
    harness.run(deadlines.expire_waiting)
    assert harness.get_job(job_id).status == "expired"


def test_the_time_limit_starts_with_the_first_attempt(harness: RegistryHarness) -> None:
    job_id = harness.submit(max_seconds=3600)
    assert harness.get_job(job_id).expires_at is None
    first = harness.claim()
    job = harness.get_job(job_id)
    assert timedelta(minutes=59) < job.expires_at - job.created_at < timedelta(minutes=61)
    harness.run(claims.release, first)
    harness.claim()
    assert harness.get_job(job_id).expires_at == job.expires_at  # all attempts share the limit


def test_the_deadline_applies_if_it_is_before_the_end_of_the_time_limit(
    harness: RegistryHarness,
) -> None:
    job_id = harness.submit(max_seconds=7200, deadline=format_time_from_now(harness, HOUR))
    harness.claim()
    assert harness.get_job(job_id).expires_at == harness.get_job(job_id).deadline


def test_a_running_job_is_stopped_by_its_worker_and_expires_with_its_checkpoint(
    harness: RegistryHarness,
) -> None:
    claim = harness.start_job(max_seconds=60)
    assert harness.run(claims.heartbeat, claim, lease=LEASE).stop is None
    pass_deadline(harness, claim.job_id)
    assert harness.run(claims.heartbeat, claim, lease=LEASE).stop == "expire"
    harness.run(claims.record_checkpoint, claim, "checkpoints/1", 10)
    harness.run(claims.mark_expired, claim)
    job = harness.get_job(claim.job_id)
    assert (job.status, job.checkpoint_step, job.error["message"]) == (
        "expired",
        10,
        "The job exceeded its limit of 60 seconds.",
    )
    with harness.database.read() as session:
        assert [attempt.status for attempt in queries.list_attempts(session, job.id)] == ["expired"]
    harness.run(controls.retry, job.id, actor="key", overrides={})
    assert harness.claim().resume_from == "checkpoints/1"
    assert harness.get_job(job.id).expires_at > job.expires_at  # the time limit starts over


def test_a_job_that_loses_its_worker_after_its_deadline_is_not_retried(
    harness: RegistryHarness,
) -> None:
    claim = harness.start_job(max_seconds=60)
    pass_deadline(harness, claim.job_id)
    harness.expire_lease(claim)
    assert harness.run(maintenance.expire_leases).hints == []
    assert harness.get_job(claim.job_id).status == "expired"


def test_a_job_that_was_cancelled_before_it_expired_ends_cancelled(
    harness: RegistryHarness,
) -> None:
    claim = harness.start_job(max_seconds=60)
    harness.run(controls.cancel, claim.job_id, actor="key")
    harness.run(claims.mark_expired, claim)
    assert harness.get_job(claim.job_id).status == "cancelled"


def test_a_job_that_finishes_after_its_deadline_has_succeeded(harness: RegistryHarness) -> None:
    claim = harness.start_job(max_seconds=60)
    pass_deadline(harness, claim.job_id)
    assert harness.finish(claim) is not None
