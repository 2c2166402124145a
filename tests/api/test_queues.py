"""Queues as clients see them: what waits, and who works on it."""

from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI

from registry import claims, workers
from registry.access import Role
from registry.db import Database, now
from registry.offers import Offer
from registry.store import Store
from registry.tables import WorkerRow
from tests.api.people import MINE, THEIRS, People

CPU_ONLY = {"devices": [{"kind": "cpu", "cores": 4, "memory_bytes": 100}], "slots": {"train": 2, "checks": 1}, "queues": []}
GPU = {"kind": "cuda", "index": 0, "name": "NVIDIA H100", "memory_bytes": 80}
WITH_GPU = {**CPU_ONLY, "devices": [*CPU_ONLY["devices"], GPU], "slots": {"train": 1}, "queues": ["train", "train-cuda"]}


@pytest.fixture
def people(app: FastAPI, database: Database, store: Store) -> People:
    return People(app, database, store)


def announce(people: People, name: str, facts: dict[str, Any]) -> None:
    with people.database.write() as session:
        workers.announce(session, name, {"name": name, "hostname": "host", "pid": 1, "version": "1", **facts})


def queues(people: People) -> dict[str, Any]:
    """By name, as a viewer sees them."""
    items = people.client(Role.VIEWER).get("/v1/queues").json()["items"]
    assert [item["name"] for item in items] == ["checks", "train", "train-cpu", "train-cuda"]
    return {item.pop("name"): item for item in items}


def test_a_queue_tells_what_waits_what_runs_and_for_how_long(people: People) -> None:
    for owner in (MINE, MINE, THEIRS):
        people.rows(owner)
    before = queues(people)["train"]
    with people.database.write() as session:
        claims.claim(session, worker_id="worker_1", offers=[Offer("train")], lease=timedelta(minutes=1))
    found = queues(people)
    assert (before["queued"], found["train"]["queued"], found["train"]["workers"]) == (3, 2, 0)
    assert found["train"]["running"] == before["running"] + 1
    assert found["train"]["oldest_seconds"] >= 0
    assert found["train-cuda"] == {"queued": 0, "running": 0, "oldest_seconds": None, "workers": 0, "slots": 0}


def test_a_queue_tells_who_takes_its_jobs(people: People) -> None:
    announce(people, "worker_1", CPU_ONLY)
    announce(people, "worker_2", WITH_GPU)
    serving = {name: (queue["workers"], queue["slots"]) for name, queue in queues(people).items()}
    assert serving == {"checks": (1, 1), "train": (2, 3), "train-cpu": (1, 2), "train-cuda": (1, 1)}
    people.client(Role.OPERATOR).post("/v1/workers/worker_1/drain")
    with people.database.write() as session:
        session.get_one(WorkerRow, "worker_2").last_seen = now(session) - timedelta(hours=1)
    assert {queue["workers"] for queue in queues(people).values()} == {0}
