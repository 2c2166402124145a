"""The service in numbers, on both databases."""

from datetime import timedelta

from registry import census, claims, leaders, sweeps, workers
from registry.tables import Attempt, Job
from registry.uploads import CHECKS
from tests.registry.conftest import World

ALIVE = timedelta(seconds=90)


def taken(world: World) -> census.Census:
    found: census.Census = world.do(census.take, alive=ALIVE)
    return found


def test_an_empty_service_has_nothing(world: World) -> None:
    found = taken(world)
    assert (found.jobs, found.oldest, found.attempts, found.durations, found.slots, found.free) == ({}, {}, {}, [], {}, {})
    assert (found.overdue, found.workers, found.led, found.artifacts, found.artifact_bytes) == (0, 0, False, 0, 0)


def test_jobs_are_counted_by_queue_and_status_and_durations_in_buckets(world: World) -> None:
    claim = world.running()
    world.finish(claim)
    with world.database.write() as session:
        job = session.get_one(Job, claim.job_id)
        assert job.finished_at is not None
        job.started_at = job.finished_at - timedelta(seconds=90)
    found = taken(world)
    assert found.jobs["train", "succeeded"] == 1
    assert found.jobs[CHECKS, "succeeded"] == 1
    (distilled,) = (group for group in found.durations if group.kind == "distill")
    assert (distilled.status, distilled.count) == ("succeeded", 1)
    assert abs(distilled.seconds - 90) < 0.01
    assert distilled.within == tuple(int(bound >= 90) for bound in census.DURATIONS)
    with world.database.read() as session:
        assert found.artifacts == len(set(world.store.scratch.parent.rglob("objects/*/*")))
        assert session.query(Attempt).count() == sum(found.attempts.values())


def test_a_job_waits_since_it_was_queued_last(world: World) -> None:
    claim = world.running()
    with world.database.write() as session:
        session.get_one(Job, claim.job_id).created_at -= timedelta(days=3)
    world.do(claims.give_back, claim)
    found = taken(world)
    assert 0 <= found.oldest["train"] < 60
    assert found.attempts["returned"] == 1


def test_a_silent_worker_is_seen_in_overdue_leases_slots_and_lost_attempts(world: World) -> None:
    for name, slots in (("worker_1", {"train": 2, CHECKS: 1}), ("worker_2", {"train": 1})):
        facts = {"name": name, "hostname": "h", "pid": 1, "slots": slots, "devices": []}
        world.do(workers.announce, name, facts)
    claim = world.running()
    found = taken(world)
    assert (found.workers, found.slots, found.free) == (2, {"train": 3, CHECKS: 1}, {"train": 2, CHECKS: 1})
    world.lose_lease(claim)
    assert taken(world).overdue == 1
    world.do(sweeps.expire)
    found = taken(world)
    assert (found.overdue, found.attempts["lost"], found.free["train"]) == (0, 1, 3)


def test_who_leads_is_seen(world: World) -> None:
    world.do(leaders.lead, "dispatcher", "worker_1", timedelta(seconds=10))
    assert taken(world).led
    world.do(leaders.lead, "dispatcher", "worker_1", timedelta(seconds=-10))
    assert not taken(world).led
