"""Allowed status transitions, and random walks through a job's life cycle."""

import random
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import func, select

from registry.attempts import claims, maintenance
from registry.attempts.claims import AttemptUpdate
from registry.db.access_tables import AuditEvent
from registry.db.job_tables import Job, JobEvent
from registry.errors import Conflict, LeaseLost, TransitionRefused
from registry.jobs import controls, lifecycle, queries
from registry.jobs.lifecycle import LEASED, TERMINAL, TRANSITIONS, JobStatus
from tests.registry.conftest import RegistryHarness

RETRYABLE_ERROR = {"code": "trainer_died", "message": "Killed.", "hint": "", "retryable": True}


def test_only_a_retry_leaves_a_terminal_status_and_nothing_leaves_success() -> None:
    assert {"succeeded", "failed", "cancelled", "expired"} == TERMINAL
    assert TRANSITIONS[JobStatus.SUCCEEDED] == frozenset()
    assert {to for end in TERMINAL for to in TRANSITIONS[end]} == {"validating", "queued"}


def test_every_status_leads_to_a_terminal_one() -> None:
    reachable = set(TERMINAL)
    for _ in TRANSITIONS:
        reachable |= {status for status, targets in TRANSITIONS.items() if targets & reachable}
    assert reachable == set(JobStatus)


def test_a_forbidden_transition_is_refused_and_writes_nothing(
    harness: RegistryHarness,
) -> None:
    job = harness.submit()

    def jump(session: Any) -> None:
        lifecycle.transition(session, session.get_one(Job, job), JobStatus.SUCCEEDED, actor="test")

    with pytest.raises(TransitionRefused, match="queued cannot become succeeded"):
        harness.run(jump)
    with harness.database.read() as session:
        assert len(queries.list_events(session, job)) == 1


@pytest.mark.parametrize("seed", range(3))
def test_the_rows_of_a_job_stay_consistent_in_a_random_walk(
    harness: RegistryHarness, seed: int
) -> None:
    """A client and two workers act in random order, and the workers often lose their leases."""
    rng = random.Random(seed)  # noqa: S311 - a walk, not a secret
    job_id = harness.submit(max_attempts=50)
    walk = RandomWalk(harness, job_id, rng)
    for _ in range(60):
        walk.step()
    assert_consistent(harness, job_id)


class RandomWalk:
    def __init__(self, harness: RegistryHarness, job_id: str, rng: random.Random) -> None:
        self.harness = harness
        self.job_id = job_id
        self.rng = rng
        self.claims: list[claims.Claim] = []

    def step(self) -> None:
        actions = [
            self.claim,
            self.claim,
            self.advance_status,
            self.heartbeat,
            self.record_update,
            self.expire_lease,
            self.expire_leases,
            self.fail,
            self.release,
            self.finish,
            self.checkpoint,
            self.pause,
            self.resume,
            self.resume,
        ]
        action = self.cancel if self.rng.random() < 0.02 else self.rng.choice(actions)
        before = self.harness.get_job(self.job_id)
        try:
            action()
        except (LeaseLost, Conflict):
            assert snapshot_job(self.harness.get_job(self.job_id)) == snapshot_job(before)
        after = self.harness.get_job(self.job_id)
        if before.status in TERMINAL:
            assert snapshot_job(after) == snapshot_job(before)

    def claim(self) -> None:
        claim = self.harness.claim(worker_id=self.rng.choice(["worker_1", "worker_2"]))
        if claim is not None:
            self.claims.append(claim)

    def pick_claim(self) -> claims.Claim:
        if not self.claims:
            raise LeaseLost("The job has not been claimed yet.")
        return self.rng.choice(self.claims[-2:])

    def advance_status(self) -> None:
        self.harness.run(claims.advance_status, self.pick_claim(), JobStatus.RUNNING)

    def heartbeat(self) -> None:
        step = self.rng.randrange(100)
        self.harness.run(
            claims.heartbeat,
            self.pick_claim(),
            lease=timedelta(seconds=60),
            progress_update={"step": step, "steps": 100},
        )

    def record_update(self) -> None:
        self.harness.run(
            claims.record_update, self.pick_claim(), AttemptUpdate(events=[("notice", {})])
        )

    def expire_lease(self) -> None:
        self.harness.expire_lease(self.pick_claim())

    def expire_leases(self) -> None:
        self.harness.run(maintenance.expire_leases)

    def fail(self) -> None:
        self.harness.run(claims.fail, self.pick_claim(), error=RETRYABLE_ERROR)

    def release(self) -> None:
        self.harness.run(claims.release, self.pick_claim())

    def finish(self) -> None:
        if self.rng.random() < 0.1:
            self.harness.finish(self.pick_claim())

    def checkpoint(self) -> None:
        claim = self.pick_claim()
        self.harness.run(
            claims.record_checkpoint, claim, f"checkpoints/{claim.attempt}", 100 * claim.attempt
        )

    def pause(self) -> None:
        self.harness.run(controls.pause, self.job_id, actor="key")

    def resume(self) -> None:
        self.harness.run(controls.resume, self.job_id, actor="key")

    def cancel(self) -> None:
        self.harness.run(controls.cancel, self.job_id, actor="key")


def snapshot_job(job: Any) -> dict[str, Any]:
    return {column.key: getattr(job, column.key) for column in job.__mapper__.column_attrs}


def assert_consistent(harness: RegistryHarness, job_id: str) -> None:
    job = harness.get_job(job_id)
    with harness.database.read() as session:
        events = (
            session.execute(
                select(JobEvent).where(JobEvent.job_id == job_id).order_by(JobEvent.seq)
            )
            .scalars()
            .all()
        )
        attempts = queries.list_attempts(session, job_id)
        audit_count = session.execute(
            select(func.count()).where(AuditEvent.subject == job_id)
        ).scalar_one()
    transitions = [event.data for event in events if event.type == "status"]
    assert [event.seq for event in events] == list(range(1, job.last_event + 1))
    assert all(after["from"] == before["to"] for before, after in pairwise(transitions))
    assert (transitions[-1]["to"], len(transitions)) == (job.status, audit_count)
    assert [attempt.number for attempt in attempts] == list(range(1, job.attempt + 1))
    assert all(attempt.status != "running" for attempt in attempts[:-1])
    assert (job.status in LEASED) == (job.worker_id is not None) == (job.lease_until is not None)
    assert (job.status in TERMINAL) == (job.finished_at is not None)
