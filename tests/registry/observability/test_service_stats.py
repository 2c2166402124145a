"""Service statistics about jobs, workers and leaders."""

from datetime import timedelta

from registry.attempts import claims, maintenance
from registry.db.job_tables import Attempt, Job
from registry.jobs.queue_names import QueueName
from registry.observability import service_stats
from registry.workers import membership
from tests.registry.conftest import RegistryHarness

ALIVE = timedelta(seconds=90)


def collect_stats(harness: RegistryHarness) -> service_stats.ServiceStats:
    stats: service_stats.ServiceStats = harness.run(
        service_stats.collect_service_stats, alive_within=ALIVE
    )
    return stats


def test_an_empty_service_has_empty_statistics(harness: RegistryHarness) -> None:
    stats = collect_stats(harness)
    assert (
        stats.jobs,
        stats.oldest_queued_seconds,
        stats.attempts,
        stats.durations,
        stats.slots,
        stats.free_slots,
    ) == ({}, {}, {}, [], {}, {})
    assert (
        stats.overdue_leases,
        stats.workers,
        stats.has_leader,
        stats.artifacts,
        stats.artifact_bytes,
    ) == (0, 0, False, 0, 0)


def test_jobs_are_counted_by_queue_and_status_and_durations_in_buckets(
    harness: RegistryHarness,
) -> None:
    claim = harness.start_job()
    harness.finish(claim)
    with harness.database.write() as session:
        job = session.get_one(Job, claim.job_id)
        assert job.finished_at is not None
        job.started_at = job.finished_at - timedelta(seconds=90)
    stats = collect_stats(harness)
    assert stats.jobs["train", "succeeded"] == 1
    assert stats.jobs[QueueName.CHECKS, "succeeded"] == 1
    (distilled,) = (group for group in stats.durations if group.kind == "distill")
    assert (distilled.status, distilled.count) == ("succeeded", 1)
    assert abs(distilled.seconds - 90) < 0.01
    assert distilled.bucket_counts == tuple(
        int(bound >= 90) for bound in service_stats.DURATION_BUCKETS
    )
    with harness.database.read() as session:
        assert stats.artifacts == len(set(harness.store.scratch.parent.rglob("objects/*/*")))
        assert session.query(Attempt).count() == sum(stats.attempts.values())


def test_a_job_waits_since_it_was_last_queued(harness: RegistryHarness) -> None:
    claim = harness.start_job()
    with harness.database.write() as session:
        session.get_one(Job, claim.job_id).created_at -= timedelta(days=3)
    harness.run(claims.release, claim)
    stats = collect_stats(harness)
    assert 0 <= stats.oldest_queued_seconds["train"] < 60
    assert stats.attempts["returned"] == 1


def test_a_silent_worker_shows_in_overdue_leases_slots_and_lost_attempts(
    harness: RegistryHarness,
) -> None:
    for name, slots in (
        ("worker_1", {"train": 2, QueueName.CHECKS: 1}),
        ("worker_2", {"train": 1}),
    ):
        facts = {"name": name, "hostname": "h", "pid": 1, "slots": slots, "devices": []}
        harness.run(membership.register, name, facts)
    claim = harness.start_job()
    stats = collect_stats(harness)
    assert (stats.workers, stats.slots, stats.free_slots) == (
        2,
        {"train": 3, QueueName.CHECKS: 1},
        {"train": 2, QueueName.CHECKS: 1},
    )
    harness.expire_lease(claim)
    assert collect_stats(harness).overdue_leases == 1
    harness.run(maintenance.expire_leases)
    stats = collect_stats(harness)
    assert (stats.overdue_leases, stats.attempts["lost"], stats.free_slots["train"]) == (0, 1, 3)


def test_a_leader_is_reported_until_its_lease_expires(harness: RegistryHarness) -> None:
    harness.run(membership.acquire_leadership, "dispatcher", "worker_1", timedelta(seconds=10))
    assert collect_stats(harness).has_leader
    harness.run(membership.acquire_leadership, "dispatcher", "worker_1", timedelta(seconds=-10))
    assert not collect_stats(harness).has_leader
