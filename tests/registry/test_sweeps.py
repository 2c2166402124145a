"""Leaders, workers, hints."""

from datetime import timedelta
from typing import Any

from registry import claims, jobs, leaders, sweeps, workers
from registry.tables import Job

World = Any  # tests/registry/conftest.py
SOON, LATER = timedelta(seconds=5), timedelta(seconds=60)
FACTS = {"name": "a", "hostname": "a", "pid": 1, "slots": {"train": 2, "checks": 1}, "devices": []}


def hints(world: World) -> list[tuple[str, str]]:
    return world.do(sweeps.due_hints, stale=SOON, alive=LATER)


def test_one_leads_until_it_resigns_or_falls_silent(world: World) -> None:
    assert world.do(leaders.lead, "dispatcher", "a", LATER)
    assert not world.do(leaders.lead, "dispatcher", "b", LATER)
    assert world.do(leaders.lead, "dispatcher", "a", timedelta())  # its time is over at once
    assert world.do(leaders.lead, "dispatcher", "b", LATER)
    assert not world.do(leaders.lead, "dispatcher", "a", LATER)
    world.do(leaders.resign, "dispatcher", "b")
    assert world.do(leaders.lead, "dispatcher", "a", LATER)


def test_hints_go_out_for_the_best_jobs_as_many_as_slots_are_free(world: World) -> None:
    dataset = {"id": world.ready_dataset()}
    world.do(workers.announce, "worker_1", FACTS)
    submitted = [world.submit(dataset=dataset, priority=priority) for priority in (0, 1, 2, 3)]
    assert hints(world) == [("train", submitted[3]), ("train", submitted[2])]
    assert hints(world) == []  # not again so soon
    world.claim()
    assert world.claim() is not None
    assert hints(world) == []  # no slot is free


def test_without_living_workers_there_are_no_hints(world: World) -> None:
    world.submit()
    assert hints(world) == []
    world.do(workers.announce, "worker_1", FACTS)
    assert world.do(sweeps.due_hints, stale=SOON, alive=timedelta()) == []
    assert len(hints(world)) == 1


def test_a_job_that_waits_for_its_next_attempt_gets_its_hint_then(world: World) -> None:
    world.do(workers.announce, "worker_1", FACTS)
    claim = world.running()
    error = {"code": "trainer_died", "message": "", "hint": "", "retryable": True}
    world.do(claims.fail, claim, error=error, retry_after=timedelta(hours=1))
    assert hints(world) == []
    world.do(lambda session: setattr(session.get_one(Job, claim.job_id), "not_before", None))  # an hour later
    assert hints(world) == [("train", claim.job_id)]


def test_workers_come_are_seen_and_leave(world: World) -> None:
    assert not world.do(workers.seen, "worker_1")
    world.do(workers.announce, "worker_1", FACTS)
    assert world.do(workers.seen, "worker_1")
    assert [row.id for row in world.do(workers.alive, within=LATER)] == ["worker_1"]
    world.do(workers.prune, silent=LATER)
    assert world.do(workers.seen, "worker_1")
    world.do(workers.prune, silent=timedelta(seconds=-1))
    assert not world.do(workers.seen, "worker_1")


def test_checkpoints_of_ended_jobs_are_found(world: World) -> None:
    claim = world.running()
    world.do(claims.checkpoint, claim, "checkpoints/1", 1)
    assert world.do(sweeps.ended_with_checkpoint, kept=timedelta()) == []
    world.do(jobs.cancel, claim.job_id, actor="key")
    world.do(claims.cancelled, claim)
    assert world.do(sweeps.ended_with_checkpoint, kept=LATER) == []  # a retry may want it
    assert [job.id for job in world.do(sweeps.ended_with_checkpoint, kept=timedelta())] == [claim.job_id]


def test_a_job_that_succeeded_needs_no_checkpoint(world: World) -> None:
    claim = world.running()
    world.do(claims.checkpoint, claim, "checkpoints/1", 1)
    world.finish(claim)
    assert [job.id for job in world.do(sweeps.ended_with_checkpoint, kept=LATER)] == [claim.job_id]
