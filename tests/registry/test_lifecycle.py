"""The table of moves, and random walks over it."""

import random
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import func, select

from registry import claims, controls, jobs, lifecycle, sweeps
from registry.claims import News
from registry.errors import Conflict, Fenced, MoveRefused
from registry.lifecycle import LEASED, MOVES, TERMINAL, JobStatus
from registry.tables import AuditEvent, JobEvent

World = Any  # tests/registry/conftest.py
MISHAP = {"code": "trainer_died", "message": "Killed.", "hint": "", "retryable": True}


def test_nothing_but_a_retry_leads_out_of_an_end_and_nothing_out_of_success() -> None:
    assert {"succeeded", "failed", "cancelled", "expired"} == TERMINAL
    assert MOVES[JobStatus.SUCCEEDED] == frozenset()
    assert {to for end in TERMINAL for to in MOVES[end]} == {"validating", "queued"}


def test_every_state_leads_to_an_end() -> None:
    reach = set(TERMINAL)
    for _ in MOVES:
        reach |= {status for status, moves in MOVES.items() if moves & reach}
    assert reach == set(JobStatus)


def test_a_move_that_the_table_does_not_have_is_refused_and_writes_nothing(world: World) -> None:
    job = world.submit()

    def jump(session: Any) -> None:
        lifecycle.move(session, session.get_one(lifecycle.Job, job), JobStatus.SUCCEEDED, actor="test")

    with pytest.raises(MoveRefused, match="queued cannot become succeeded"):
        world.do(jump)
    with world.database.read() as session:
        assert len(jobs.events(session, job)) == 1


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_to_a_job_its_rows_stay_in_order(world: World, seed: int) -> None:
    """Two workers, one of them often silent, and a client do what they like; the promises hold all the same."""
    chance = random.Random(seed)  # noqa: S311 - a walk, not a secret
    job_id = world.submit(max_attempts=50)
    walk = Walk(world, job_id, chance)
    for _ in range(60):
        walk.step()
    assert_in_order(world, job_id)


class Walk:
    def __init__(self, world: World, job_id: str, chance: random.Random) -> None:
        self.world = world
        self.job_id = job_id
        self.chance = chance
        self.claims: list[claims.Claim] = []

    def step(self) -> None:
        actions = [
            self.claim,
            self.claim,
            self.enter,
            self.beat,
            self.record,
            self.lose,
            self.expire,
            self.fail,
            self.give_back,
            self.finish,
            self.checkpoint,
            self.pause,
            self.resume,
            self.resume,
        ]
        action = self.cancel if self.chance.random() < 0.02 else self.chance.choice(actions)
        before = self.world.job(self.job_id)
        try:
            action()
        except (Fenced, Conflict):
            assert vars_of(self.world.job(self.job_id)) == vars_of(before)
        after = self.world.job(self.job_id)
        if before.status in TERMINAL:
            assert vars_of(after) == vars_of(before)

    def claim(self) -> None:
        found = self.world.claim(worker_id=self.chance.choice(["worker_1", "worker_2"]))
        self.claims += [found] if found else []

    def some(self) -> claims.Claim:
        if not self.claims:
            raise Fenced("nobody has claimed it yet")
        return self.chance.choice(self.claims[-2:])

    def enter(self) -> None:
        self.world.do(claims.enter, self.some(), JobStatus.RUNNING)

    def beat(self) -> None:
        step = self.chance.randrange(100)
        self.world.do(claims.heartbeat, self.some(), lease=timedelta(seconds=60), facts={"step": step, "steps": 100})

    def record(self) -> None:
        self.world.do(claims.record, self.some(), News(events=[("notice", {})]))

    def lose(self) -> None:
        self.world.lose_lease(self.some())

    def expire(self) -> None:
        self.world.do(sweeps.expire)

    def fail(self) -> None:
        self.world.do(claims.fail, self.some(), error=MISHAP)

    def give_back(self) -> None:
        self.world.do(claims.give_back, self.some())

    def finish(self) -> None:
        if self.chance.random() < 0.1:
            self.world.finish(self.some())

    def checkpoint(self) -> None:
        claim = self.some()
        self.world.do(claims.checkpoint, claim, f"checkpoints/{claim.attempt}", 100 * claim.attempt)

    def pause(self) -> None:
        self.world.do(controls.pause, self.job_id, actor="key")

    def resume(self) -> None:
        self.world.do(controls.resume, self.job_id, actor="key")

    def cancel(self) -> None:
        self.world.do(jobs.cancel, self.job_id, actor="key")


def vars_of(job: Any) -> dict[str, Any]:
    return {column.key: getattr(job, column.key) for column in job.__mapper__.column_attrs}


def assert_in_order(world: World, job_id: str) -> None:
    job = world.job(job_id)
    with world.database.read() as session:
        events = session.execute(select(JobEvent).where(JobEvent.job_id == job_id).order_by(JobEvent.seq)).scalars().all()
        attempts = jobs.attempts(session, job_id)
        audits = session.execute(select(func.count()).where(AuditEvent.subject == job_id)).scalar_one()
    moves = [event.data for event in events if event.type == "status"]
    assert [event.seq for event in events] == list(range(1, job.last_event + 1))
    assert all(after["from"] == before["to"] for before, after in pairwise(moves))
    assert (moves[-1]["to"], len(moves)) == (job.status, audits)
    assert [attempt.number for attempt in attempts] == list(range(1, job.attempt + 1))
    assert all(attempt.status != "running" for attempt in attempts[:-1])
    assert (job.status in LEASED) == (job.worker_id is not None) == (job.lease_until is not None)
    assert (job.status in TERMINAL) == (job.finished_at is not None)
