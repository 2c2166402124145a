"""Several processes claim from one database at once."""

import subprocess
import sys
from collections import Counter
from typing import Any

from registry import jobs
from registry.requests import JobRequest

World = Any  # tests/registry/conftest.py
JOBS, PROCESSES = 60, 3
CLAIM_ALL = """
import sys
from datetime import timedelta
from registry import claims
from registry.db import Database
from registry.offers import Offer

database = Database(sys.argv[1])
sys.stdin.readline()  # all start together
while True:
    with database.write() as session:
        claim = claims.claim(session, worker_id=sys.argv[2], offers=[Offer("train")], lease=timedelta(seconds=60))
    if claim is None:
        break
    print(claim.job_id, claim.attempt)
"""


def test_no_job_is_claimed_twice_and_none_is_left(world: World, database_url: str) -> None:
    dataset = world.ready_dataset()
    spec = JobRequest.model_validate({"student": {"architecture": "resnet8"}, "dataset": {"id": dataset}})
    with world.database.write() as session:
        submitted = {jobs.submit(session, world.principal, spec).id for _ in range(JOBS)}
    command = [sys.executable, "-c", CLAIM_ALL, database_url]
    racers = [
        subprocess.Popen([*command, f"worker_{number}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for number in range(PROCESSES)
    ]
    for racer in racers:
        racer.stdin.write("\n")  # type: ignore[union-attr] # it is a pipe
        racer.stdin.flush()  # type: ignore[union-attr] # as above
    lines = [line for racer in racers for line in racer.communicate()[0].splitlines()]
    assert [racer.returncode for racer in racers] == [0] * PROCESSES
    assert Counter(line.split()[0] for line in lines) == Counter(submitted)
    assert {line.split()[1] for line in lines} == {"1"}
