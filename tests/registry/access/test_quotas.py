"""Quotas on the number of running jobs per owner. They are applied when a worker claims a job."""

from datetime import timedelta
from typing import Any

import pytest

from registry.access import quotas
from registry.access.quotas import QuotaLimits
from registry.attempts import claims
from registry.db.job_tables import Job
from registry.errors import QuotaExceeded
from registry.jobs import edits, queries
from registry.jobs.lifecycle import JobStatus
from registry.workers.capacity import QueueCapacity
from tests.registry.conftest import RegistryHarness, claim_in_processes


def test_concurrent_workers_do_not_exceed_an_owners_limit(
    harness: RegistryHarness, database_url: str
) -> None:
    dataset = harness.add_ready_dataset()
    for _ in range(8):
        harness.submit(dataset={"id": dataset})
    claimed = [job_id for job_id, _ in claim_in_processes(database_url, rounds=10, running_limit=2)]
    assert len(set(claimed)) == len(claimed) == 2


def claim_job(harness: RegistryHarness) -> Any:
    return harness.run(
        claims.claim,
        worker_id="worker_1",
        capacities=[QueueCapacity("train")],
        lease=timedelta(seconds=60),
        default_running_limit=1,
    )


def test_jobs_of_an_owner_at_its_limit_are_skipped(harness: RegistryHarness) -> None:
    dataset = harness.add_ready_dataset()
    for _ in range(2):
        harness.submit(dataset={"id": dataset}, priority=5)
    other = harness.submit(dataset={"id": dataset})
    with harness.database.write() as session:
        session.get_one(Job, other).owner = "other"
    first = claim_job(harness)
    assert claim_job(harness).job_id == other
    assert claim_job(harness) is None
    harness.run(claims.advance_status, first, JobStatus.RUNNING)
    harness.finish(first)
    assert claim_job(harness) is not None


def test_device_seconds_outlive_their_job(harness: RegistryHarness) -> None:
    claim = harness.start_job()
    owner = harness.principal.owner
    with harness.database.write() as session:
        session.get_one(Job, claim.job_id).gpus = 3
        attempt = queries.list_attempts(session, claim.job_id)[0]
        attempt.started_at -= timedelta(seconds=100)
    with harness.database.read() as session:
        running = quotas.get_usage(session, owner, QuotaLimits()).device_seconds.used
    assert 300 <= running < 400
    harness.run(claims.advance_status, claim, JobStatus.EXPORTING)
    harness.finish(claim)
    harness.run(edits.delete_job, claim.job_id, actor="key_1", with_model=True)
    with harness.database.read() as session:
        assert 300 <= quotas.get_usage(session, owner, QuotaLimits()).device_seconds.used < 400
    harness.run(quotas.check_jobs, owner, QuotaLimits(device_seconds=1000))
    with pytest.raises(
        QuotaExceeded, match="device_seconds is 200 device seconds per month, and 3"
    ):
        harness.run(quotas.check_jobs, owner, QuotaLimits(device_seconds=200))
