"""The inventory of workers, and their drain, as clients see it."""

from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI

from registry import claims, workers
from registry.access import Role
from registry.claims import Claim
from registry.db import Database, now
from registry.offers import Offer
from registry.store import Store
from registry.tables import AuditEvent, WorkerRow
from tests.api.people import MINE, THEIRS, People

GPU = {"kind": "cuda", "index": 0, "name": "NVIDIA H100", "busy": 0.5, "used_bytes": 10, "memory_bytes": 80}
FACTS = {
    "name": "big one",
    "hostname": "host",
    "pid": 7,
    "version": "1",
    "slots": {"train": 2, "checks": 1},
    "queues": ["train"],
    "devices": [{"kind": "cpu", "cores": 4, "memory_bytes": 100}, GPU],
}


@pytest.fixture
def people(app: FastAPI, database: Database, store: Store) -> People:
    found = People(app, database, store)
    with database.write() as session:
        workers.announce(session, "worker_1", FACTS)
    return found


def claimed(people: People) -> Claim | None:
    with people.database.write() as session:
        return claims.claim(session, worker_id="worker_1", offers=[Offer("train")], lease=timedelta(minutes=1))


def seen(people: People, role: Role = Role.VIEWER) -> dict[str, Any]:
    (worker,) = people.client(role).get("/v1/workers").json()["items"]
    assert worker == people.client(role).get("/v1/workers/worker_1").json()
    found: dict[str, Any] = worker
    return found


def test_a_worker_tells_its_machine_and_how_busy_it_is(people: People) -> None:
    worker = seen(people)
    assert {name: worker[name] for name in FACTS if name != "devices"} == {
        name: FACTS[name] for name in FACTS if name != "devices"
    }
    cpu, gpu = worker["devices"]
    assert (cpu["cores"], cpu["busy"], cpu["index"]) == (4, None, None)
    assert {name: gpu[name] for name in GPU} == GPU
    assert (worker["status"], worker["busy"], worker["jobs"]) == ("alive", {"train": 0, "checks": 0}, [])


def test_jobs_of_others_are_counted_and_not_named(people: People) -> None:
    ids = {owner: people.rows(owner)["job_id"] for owner in (MINE, THEIRS)}
    held = [claimed(people), claimed(people)]
    assert {claim.job_id for claim in held if claim} == set(ids.values())
    for role, shown in ((Role.VIEWER, {ids[MINE]}), (Role.SUBMITTER, {ids[MINE]}), (Role.OPERATOR, set(ids.values()))):
        worker = seen(people, role)
        assert worker["busy"]["train"] == 2
        assert {(job["job_id"], job["attempt"], job["slots"]) for job in worker["jobs"]} == {(job, 1, 1) for job in shown}
    assert ids[THEIRS] not in people.client(Role.VIEWER).get("/v1/workers").text


def test_a_worker_that_fell_silent_is_gone(people: People) -> None:
    with people.database.write() as session:
        session.get_one(WorkerRow, "worker_1").last_seen = now(session) - timedelta(hours=1)
    assert seen(people)["status"] == "gone"


@pytest.mark.parametrize(("query", "order"), [("", "finish"), ("?now=true", "now")])
def test_a_worker_that_drains_claims_nothing_until_it_is_told_otherwise(people: People, query: str, order: str) -> None:
    people.rows(MINE)
    operator = people.client(Role.OPERATOR)
    assert operator.post(f"/v1/workers/worker_1/drain{query}").json()["status"] == "draining"
    assert claimed(people) is None
    with people.database.read() as session:
        assert workers.draining(session, "worker_1") == order
        assert session.query(AuditEvent).filter_by(action="worker.drain").one().data == {"order": order}
    assert operator.delete("/v1/workers/worker_1/drain").json()["status"] == "alive"
    assert claimed(people) is not None


def test_an_unknown_worker_is_not_found(people: People) -> None:
    operator = people.client(Role.OPERATOR)
    answers = [operator.get("/v1/workers/worker_0"), operator.post("/v1/workers/worker_0/drain")]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(404, "not_found")] * 2
