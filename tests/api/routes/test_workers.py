"""Listing and draining workers over HTTP."""

from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI

from registry.access.permissions import Role
from registry.attempts import claims
from registry.attempts.claims import Claim
from registry.db.access_tables import AuditEvent
from registry.db.database import Database, now
from registry.db.worker_tables import WorkerRow
from registry.storage.object_store import Store
from registry.workers import membership
from registry.workers.capacity import QueueCapacity
from tests.api.tenants import MINE, THEIRS, Tenants

GPU = {
    "kind": "cuda",
    "index": 0,
    "name": "NVIDIA H100",
    "busy": 0.5,
    "used_bytes": 10,
    "memory_bytes": 80,
}
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
def tenants(app: FastAPI, database: Database, store: Store) -> Tenants:
    """Return the tenants of a service with one registered worker."""
    tenants = Tenants(app, database, store)
    with database.write() as session:
        membership.register(session, "worker_1", FACTS)
    return tenants


def claim_job(tenants: Tenants) -> Claim | None:
    with tenants.database.write() as session:
        return claims.claim(
            session,
            worker_id="worker_1",
            capacities=[QueueCapacity("train")],
            lease=timedelta(minutes=1),
        )


def get_worker(tenants: Tenants, role: Role = Role.VIEWER) -> dict[str, Any]:
    (worker,) = tenants.create_client(role).get("/v1/workers").json()["items"]
    assert worker == tenants.create_client(role).get("/v1/workers/worker_1").json()
    body: dict[str, Any] = worker
    return body


def test_a_worker_shows_its_devices_and_load(tenants: Tenants) -> None:
    worker = get_worker(tenants)
    assert {name: worker[name] for name in FACTS if name != "devices"} == {
        name: FACTS[name] for name in FACTS if name != "devices"
    }
    cpu, gpu = worker["devices"]
    assert (cpu["cores"], cpu["busy"], cpu["index"]) == (4, None, None)
    assert {name: gpu[name] for name in GPU} == GPU
    assert (worker["status"], worker["busy"], worker["jobs"]) == (
        "alive",
        {"train": 0, "checks": 0},
        [],
    )


def test_jobs_of_others_are_counted_but_not_named(tenants: Tenants) -> None:
    ids = {owner: tenants.create_rows(owner)["job_id"] for owner in (MINE, THEIRS)}
    claimed = [claim_job(tenants), claim_job(tenants)]
    assert {claim.job_id for claim in claimed if claim} == set(ids.values())
    for role, visible_ids in (
        (Role.VIEWER, {ids[MINE]}),
        (Role.SUBMITTER, {ids[MINE]}),
        (Role.OPERATOR, set(ids.values())),
    ):
        worker = get_worker(tenants, role)
        assert worker["busy"]["train"] == 2
        assert {(job["job_id"], job["attempt"], job["slots"]) for job in worker["jobs"]} == {
            (job, 1, 1) for job in visible_ids
        }
    assert ids[THEIRS] not in tenants.create_client(Role.VIEWER).get("/v1/workers").text


def test_a_worker_without_heartbeats_is_gone(tenants: Tenants) -> None:
    with tenants.database.write() as session:
        session.get_one(WorkerRow, "worker_1").last_seen = now(session) - timedelta(hours=1)
    assert get_worker(tenants)["status"] == "gone"


@pytest.mark.parametrize(("query", "order"), [("", "finish"), ("?now=true", "now")])
def test_a_draining_worker_claims_no_jobs_until_it_is_undrained(
    tenants: Tenants, query: str, order: str
) -> None:
    tenants.create_rows(MINE)
    operator = tenants.create_client(Role.OPERATOR)
    assert operator.post(f"/v1/workers/worker_1/drain{query}").json()["status"] == "draining"
    assert claim_job(tenants) is None
    with tenants.database.read() as session:
        assert membership.get_drain_mode(session, "worker_1") == order
        assert session.query(AuditEvent).filter_by(action="worker.drain").one().data == {
            "order": order
        }
    assert operator.delete("/v1/workers/worker_1/drain").json()["status"] == "alive"
    assert claim_job(tenants) is not None


def test_an_unknown_worker_is_not_found(tenants: Tenants) -> None:
    operator = tenants.create_client(Role.OPERATOR)
    responses = [operator.get("/v1/workers/worker_0"), operator.post("/v1/workers/worker_0/drain")]
    assert [(response.status_code, response.json()["code"]) for response in responses] == [
        (404, "not_found")
    ] * 2
