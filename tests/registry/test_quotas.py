"""Limits of owners where jobs run."""

import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest

from registry import claims, edits, quotas
from registry.errors import QuotaExceeded
from registry.lifecycle import JobStatus
from registry.offers import Offer
from registry.quotas import Limits

World = Any  # tests/registry/conftest.py
CLAIM_ALL = """
import sys
from datetime import timedelta
from registry import claims
from registry.db import Database
from registry.offers import Offer

database = Database(sys.argv[1])
sys.stdin.readline()  # all start together
for _ in range(10):
    with database.write() as session:
        claim = claims.claim(session, worker_id=sys.argv[2], offers=[Offer("train")], lease=timedelta(seconds=60), running=2)
    if claim is not None:
        print(claim.job_id)
"""


def test_workers_that_race_run_no_more_than_an_owner_may(world: World, database_url: str) -> None:
    dataset = world.ready_dataset()
    for _ in range(8):
        world.submit(dataset={"id": dataset})
    command = [sys.executable, "-c", CLAIM_ALL, database_url]
    racers = [
        subprocess.Popen([*command, f"worker_{number}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for number in range(3)
    ]
    for racer in racers:
        racer.stdin.write("\n")  # type: ignore[union-attr] # it is a pipe
        racer.stdin.flush()  # type: ignore[union-attr] # as above
    lines = [line for racer in racers for line in racer.communicate()[0].split()]
    assert [racer.returncode for racer in racers] == [0, 0, 0]
    assert len(set(lines)) == len(lines) == 2


def claim(world: World) -> Any:
    offers = [Offer("train")]
    return world.do(claims.claim, worker_id="worker_1", offers=offers, lease=timedelta(seconds=60), running=1)


def test_an_owner_at_its_limit_lets_others_pass(world: World) -> None:
    dataset = world.ready_dataset()
    for _ in range(2):
        world.submit(dataset={"id": dataset}, priority=5)
    other = world.submit(dataset={"id": dataset})
    with world.database.write() as session:
        session.get_one(type(world.job(other)), other).owner = "other"
    first = claim(world)
    assert claim(world).job_id == other
    assert claim(world) is None
    world.do(claims.enter, first, JobStatus.RUNNING)
    world.finish(first)
    assert claim(world) is not None


def test_device_seconds_outlive_their_job(world: World) -> None:
    held = world.running()
    owner = world.principal.owner
    with world.database.write() as session:
        session.get_one(type(world.job(held.job_id)), held.job_id).gpus = 3
        attempt = claims.jobs.attempts(session, held.job_id)[0]
        attempt.started_at -= timedelta(seconds=100)
    with world.database.read() as session:
        running = quotas.usage(session, owner, Limits()).device_seconds.used
    assert 300 <= running < 400
    world.do(claims.enter, held, JobStatus.EXPORTING)
    world.finish(held)
    world.do(edits.remove, held.job_id, actor="key_1", with_model=True)
    with world.database.read() as session:
        assert 300 <= quotas.usage(session, owner, Limits()).device_seconds.used < 400
    world.do(quotas.check_jobs, owner, Limits(device_seconds=1000))
    with pytest.raises(QuotaExceeded, match="device_seconds is 200 device seconds in this month; 3"):
        world.do(quotas.check_jobs, owner, Limits(device_seconds=200))
