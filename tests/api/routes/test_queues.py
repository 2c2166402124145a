"""The list of job queues."""

from datetime import timedelta
from typing import Any

from registry.access.permissions import Role
from registry.attempts import claims
from registry.db.database import now
from registry.db.worker_tables import WorkerRow
from registry.workers import membership
from registry.workers.capacity import QueueCapacity
from tests.api.tenants import MINE, THEIRS, Tenants

CPU_ONLY = {
    "devices": [{"kind": "cpu", "cores": 4, "memory_bytes": 100}],
    "slots": {"train": 2, "checks": 1},
    "queues": [],
}
GPU = {"kind": "cuda", "index": 0, "name": "NVIDIA H100", "memory_bytes": 80}
WITH_GPU = {
    **CPU_ONLY,
    "devices": [*CPU_ONLY["devices"], GPU],
    "slots": {"train": 1},
    "queues": ["train", "train-cuda"],
}


def announce_worker(tenants: Tenants, name: str, facts: dict[str, Any]) -> None:
    with tenants.database.write() as session:
        membership.register(
            session, name, {"name": name, "hostname": "host", "pid": 1, "version": "1", **facts}
        )


def list_queues(tenants: Tenants) -> dict[str, Any]:
    """Request the list of queues with a viewer's key. Return the queues, keyed by name."""
    items = tenants.create_client(Role.VIEWER).get("/v1/queues").json()["items"]
    assert [item["name"] for item in items] == ["checks", "train", "train-cpu", "train-cuda"]
    return {item.pop("name"): item for item in items}


def test_a_queue_shows_queued_and_running_jobs_and_the_waiting_time(tenants: Tenants) -> None:
    for owner in (MINE, MINE, THEIRS):
        tenants.create_rows(owner)
    before = list_queues(tenants)["train"]
    with tenants.database.write() as session:
        claims.claim(
            session,
            worker_id="worker_1",
            capacities=[QueueCapacity("train")],
            lease=timedelta(minutes=1),
        )
    queues = list_queues(tenants)
    assert (before["queued"], queues["train"]["queued"], queues["train"]["workers"]) == (3, 2, 0)
    assert queues["train"]["running"] == before["running"] + 1
    assert queues["train"]["oldest_seconds"] >= 0
    assert queues["train-cuda"] == {
        "queued": 0,
        "running": 0,
        "oldest_seconds": None,
        "workers": 0,
        "slots": 0,
    }


def test_a_queue_shows_the_workers_that_serve_it(tenants: Tenants) -> None:
    announce_worker(tenants, "worker_1", CPU_ONLY)
    announce_worker(tenants, "worker_2", WITH_GPU)
    capacities = {
        name: (queue["workers"], queue["slots"]) for name, queue in list_queues(tenants).items()
    }
    assert capacities == {
        "checks": (1, 1),
        "train": (2, 3),
        "train-cpu": (1, 2),
        "train-cuda": (1, 1),
    }
    tenants.create_client(Role.OPERATOR).post("/v1/workers/worker_1/drain")
    with tenants.database.write() as session:
        session.get_one(WorkerRow, "worker_2").last_seen = now(session) - timedelta(hours=1)
    assert {queue["workers"] for queue in list_queues(tenants).values()} == {0}
