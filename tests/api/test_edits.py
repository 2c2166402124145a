"""Jobs over HTTP: planned, labelled, found again, changed, deleted; their attempts and logs."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.app import create_app
from registry import claims, workers
from registry.db import Database
from registry.settings import Settings
from registry.store import Store
from registry.testing import MemoryQueue
from tests.api.conftest import FakeWorker, files_in

Spec = dict[str, Any]
FACTS = {"name": "a", "hostname": "a", "pid": 1, "slots": {"train": 1}, "devices": [{"kind": "cpu", "memory_bytes": 2**30}]}
ENVELOPE = {
    "labels": {"team": "vision"},
    "notes": "a try",
    "priority": 7,
    "max_seconds": 3600,
    "deadline": "2100-01-01T00:00:00+01:00",
    "resources": {"device": "cuda", "memory_gb": 12},
}


@pytest.fixture
def job(client: TestClient, spec: Spec) -> str:
    return str(client.post("/v1/jobs", json=spec | {"labels": {"team": "vision"}}).json()["id"])


def test_a_job_shows_the_envelope_that_it_came_in(client: TestClient, queue: MemoryQueue, spec: Spec) -> None:
    queue.sent.clear()
    job = client.post("/v1/jobs", json=spec | ENVELOPE).json()
    assert (job["labels"], job["notes"], job["priority"], job["queue"]) == ({"team": "vision"}, "a try", 7, "train-cuda")
    assert (job["max_seconds"], job["deadline"], job["expires_at"]) == (3600, "2099-12-31T23:00:00Z", "2099-12-31T23:00:00Z")
    assert job["resources"] == {"device": "cuda", "gpus": 1, "processes": 1, "memory_gb": 12}
    assert job["waiting_for"] == "a worker with a GPU and 12 GiB of memory: none is alive"
    assert job["owner"].startswith("key_")
    assert not set(ENVELOPE) & set(job["spec"])
    assert queue.sent == [("train-cuda", job["id"])]


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"labels": {"a:b": "c"}}, "/labels/a:b", "string_pattern_mismatch"),
        ({"labels": {"a": "c" * 256}}, "/labels/a", "string_too_long"),
        ({"labels": {f"k{number}": "" for number in range(33)}}, "/labels", "too_long"),
        ({"priority": 101}, "/priority", "less_than_equal"),
        ({"max_seconds": 0}, "/max_seconds", "greater_than"),
        ({"deadline": "tomorrow"}, "/deadline", "datetime_from_date_parsing"),
        ({"deadline": "2100-01-01T00:00:00"}, "/deadline", "timezone_aware"),
        ({"deadline": "2020-01-01T00:00:00Z"}, "/deadline", "deadline_passed"),
        ({"resources": {"device": "tpu"}}, "/resources/device", "literal_error"),
        ({"resources": {"gpus": 2}}, "/resources/gpus", "gpus_unused"),
    ],
)
def test_an_envelope_that_does_not_fit_is_refused_with_its_field(
    client: TestClient, spec: Spec, change: Spec, pointer: str, code: str
) -> None:
    answer = client.post("/v1/jobs", json=spec | change)
    assert answer.status_code == 422
    assert [(entry["pointer"], entry["code"]) for entry in answer.json()["errors"]] == [(pointer, code)]


def test_a_plan_says_what_would_be_run_and_keeps_nothing(
    client: TestClient, database: Database, queue: MemoryQueue, spec: Spec
) -> None:
    with database.write() as session:
        workers.announce(session, "worker_1", FACTS)
    queue.sent.clear()
    headers = {"Idempotency-Key": "plan"}
    answer = client.post("/v1/jobs", params={"validate_only": True}, json=spec, headers=headers)
    plan = answer.json()
    assert (answer.status_code, "Location" in answer.headers) == (200, False)
    assert (plan["valid"], plan["status"], plan["queue"], plan["problems"]) == (True, "queued", "train", [])
    assert (plan["spec"]["method"]["name"], plan["waiting_for"]) == ("plain", None)
    assert (client.get("/v1/jobs").json()["items"], queue.sent) == ([], [])
    assert client.post("/v1/jobs", json=spec, headers=headers).status_code == 201


def test_a_plan_lists_why_it_would_be_refused(client: TestClient, spec: Spec) -> None:
    answer = client.post("/v1/jobs", params={"validate_only": True}, json=spec | {"dataset": {"id": "dataset_none"}})
    plan = answer.json()
    assert (answer.status_code, plan["valid"], plan["status"]) == (200, False, None)
    assert [(problem["pointer"], problem["code"]) for problem in plan["problems"]] == [("/dataset/id", "dataset_unknown")]
    assert client.post("/v1/jobs", params={"validate_only": True}, json={}).status_code == 422


def found(client: TestClient, **params: Any) -> list[str]:
    return [job["id"] for job in client.get("/v1/jobs", params=params).json()["items"]]


def test_jobs_are_found_by_label_state_owner_time_and_name(client: TestClient, spec: Spec) -> None:
    first = client.post("/v1/jobs", json=spec | {"name": "one", "labels": {"team": "vision", "n": "1"}}).json()
    second = client.post("/v1/jobs", json=spec | {"name": "two", "labels": {"team": "vision"}}).json()
    client.post(f"/v1/jobs/{first['id']}/cancel")
    assert found(client, label=["team:vision"]) == [second["id"], first["id"]]
    assert found(client, label=["team:vision", "n:1"]) == [first["id"]]
    assert found(client, status=["cancelled", "queued"]) == [second["id"], first["id"]]
    assert found(client, status="cancelled") == [first["id"]]
    assert found(client, owner=first["owner"], name="TW") == [second["id"]]
    assert found(client, owner="key_none") == []
    assert found(client, method="plain", student="resnet8") == [second["id"], first["id"]]
    hour = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    assert (found(client, created_after=hour), found(client, created_before=hour)) == ([second["id"], first["id"]], [])


@pytest.mark.parametrize(
    ("params", "parameter"),
    [
        ({"label": "team"}, "label"),
        ({"created_after": "today"}, "created_after"),
        ({"lable": "a:b"}, "lable"),
        ({"limit": 0}, "limit"),
    ],
)
def test_a_bad_filter_is_named(client: TestClient, params: dict[str, Any], parameter: str) -> None:
    answer = client.get("/v1/jobs", params=params)
    assert (answer.status_code, [entry["parameter"] for entry in answer.json()["errors"]]) == (422, [parameter])


def test_words_and_priority_are_changed(client: TestClient, worker: FakeWorker, job: str) -> None:
    patch = {"name": "better", "notes": "n", "labels": {"team": None, "x": "1"}, "priority": 3}
    changed = client.patch(f"/v1/jobs/{job}", json=patch)
    assert changed.status_code == 200
    assert [changed.json()[name] for name in patch] == ["better", "n", {"x": "1"}, 3]
    worker.claim("train")
    answer = client.patch(f"/v1/jobs/{job}", json={"priority": 4})
    assert (answer.status_code, answer.json()["code"]) == (409, "job_not_waiting")
    assert client.patch(f"/v1/jobs/{job}", json={"status": "succeeded"}).json()["errors"][0]["pointer"] == "/status"
    assert client.patch("/v1/jobs/job_none", json={"name": "x"}).status_code == 404


def test_a_deleted_job_is_gone_with_its_files(client: TestClient, worker: FakeWorker, settings: Settings, job: str) -> None:
    refused = client.delete(f"/v1/jobs/{job}")
    assert (refused.status_code, refused.json()["code"]) == (409, "job_not_ended")
    before = len(files_in(settings))
    model = worker.train(worker.claim("train"))
    refused = client.delete(f"/v1/jobs/{job}")
    assert (refused.status_code, refused.json()["code"]) == (409, "job_has_model")
    assert len(files_in(settings)) == before + 1
    assert client.delete(f"/v1/jobs/{job}", params={"with_model": True}).status_code == 204
    assert client.get(f"/v1/jobs/{job}").status_code == client.get(f"/v1/models/{model}").status_code == 404
    assert len(files_in(settings)) == before


def test_the_checkpoint_of_a_deleted_job_goes_too(
    client: TestClient, worker: FakeWorker, store: Store, settings: Settings, job: str
) -> None:
    before, claim = len(files_in(settings)), worker.claim("train")
    store.put_key(f"checkpoints/{job}/1-1", store.local_path(claim.inputs["dataset"]["digest"]) or settings.data)
    with worker.database.write() as session:
        claims.checkpoint(session, claim, f"checkpoints/{job}/1-1", 1)
        claims.fail(session, claim, error={"code": "x", "message": "", "hint": "", "retryable": False})
    assert len(files_in(settings)) == before + 1
    client.delete(f"/v1/jobs/{job}")
    assert len(files_in(settings)) == before


def logged(worker: FakeWorker, *lines: str) -> claims.Claim:
    claim = worker.claim("train")
    with worker.database.write() as session:
        claims.record(session, claim, claims.News(lines=list(lines)))
    return claim


def test_a_log_is_read_in_pages_from_its_end_and_as_text(client: TestClient, worker: FakeWorker, job: str) -> None:
    logged(worker, "one", "zwei ü", "three")
    path = f"/v1/jobs/{job}/logs"
    first = client.get(path, params={"limit": 2}).json()
    assert [(line["id"], line["attempt"], line["line"]) for line in first["items"]] == [(1, 1, "one"), (2, 1, "zwei ü")]
    rest = client.get(path, params={"after": first["cursor"]}).json()
    assert [line["line"] for line in rest["items"]] == ["three"]
    assert client.get(path, params={"after": rest["cursor"]}).json() == {"items": [], "cursor": rest["cursor"]}
    assert [line["id"] for line in client.get(path, params={"tail": 2}).json()["items"]] == [2, 3]
    text = client.get(path, headers={"Accept": "text/plain"})
    assert (text.headers["Content-Type"], text.text) == ("text/plain; charset=utf-8", "one\nzwei ü\nthree\n")
    assert client.get(path, params={"attempt": 2}).json()["items"] == []
    assert client.get(path, params={"after": "x"}).json()["code"] == "cursor_invalid"
    assert client.get("/v1/jobs/job_none/logs").status_code == 404


def test_attempts_stand_by_themselves(client: TestClient, worker: FakeWorker, job: str) -> None:
    claim = logged(worker)
    with worker.database.write() as session:
        claims.checkpoint(session, claim, "checkpoints/x", 5)
        claims.give_back(session, claim)
    worker.claim("train")
    items = client.get(f"/v1/jobs/{job}/attempts").json()["items"]
    assert [(item["number"], item["status"], item["resumed_step"], item["saved_step"]) for item in items] == [
        (1, "returned", None, 5),
        (2, "running", 5, None),
    ]
    assert client.get("/v1/jobs/job_none/attempts").status_code == 404


def test_logs_and_events_go_on_over_a_restart_of_the_service(
    client: TestClient, worker: FakeWorker, settings: Settings, key: str, job: str
) -> None:
    claim = logged(worker, "before")
    seen = client.get(f"/v1/jobs/{job}/events").json()["cursor"]
    database = Database(settings.database_url)
    again: FastAPI = create_app(settings, database, MemoryQueue(), Store(settings.store_url))
    with TestClient(again, base_url="http://127.0.0.1:8000", headers={"Authorization": f"Bearer {key}"}) as restarted:
        assert restarted.get(f"/v1/jobs/{job}/logs").json()["items"][0]["line"] == "before"
        worker.train(claim)
        stream = {"Accept": "text/event-stream", "Last-Event-ID": seen}
        told = restarted.get(f"/v1/jobs/{job}/events", headers=stream).text
    database.close()
    ids = [int(line.removeprefix("id: ")) for line in told.splitlines() if line.startswith("id: ")]
    assert ids == list(range(int(seen) + 1, int(seen) + 1 + len(ids)))
    assert '"to":"succeeded"' in told
