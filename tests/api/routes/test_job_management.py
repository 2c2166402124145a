"""Job plans, labels, filters, edits, deletion, attempts and logs over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.app import create_app
from registry.attempts import claims
from registry.db.database import Database
from registry.settings import Settings
from registry.storage.object_store import Store
from registry.testing import InMemoryJobQueue
from registry.workers import membership
from tests.api.fake_worker import FakeWorker, list_stored_files

Spec = dict[str, Any]
WORKER_FACTS = {
    "name": "a",
    "hostname": "a",
    "pid": 1,
    "slots": {"train": 1},
    "devices": [{"kind": "cpu", "memory_bytes": 2**30}],
}
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


def test_a_job_has_the_options_of_its_request(
    client: TestClient, queue: InMemoryJobQueue, spec: Spec
) -> None:
    queue.sent.clear()
    job = client.post("/v1/jobs", json=spec | ENVELOPE).json()
    assert (job["labels"], job["notes"], job["priority"], job["queue"]) == (
        {"team": "vision"},
        "a try",
        7,
        "train-cuda",
    )
    assert (job["max_seconds"], job["deadline"], job["expires_at"]) == (
        3600,
        "2099-12-31T23:00:00Z",
        "2099-12-31T23:00:00Z",
    )
    assert job["resources"] == {"device": "cuda", "gpus": 1, "processes": 1, "memory_gb": 12}
    assert job["waiting_for"] == "a worker with a GPU and 12 GiB of memory (none is alive)"
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
def test_an_invalid_option_is_rejected_with_its_field(
    client: TestClient, spec: Spec, change: Spec, pointer: str, code: str
) -> None:
    response = client.post("/v1/jobs", json=spec | change)
    assert response.status_code == 422
    assert [(entry["pointer"], entry["code"]) for entry in response.json()["errors"]] == [
        (pointer, code)
    ]


def test_a_plan_shows_the_job_and_stores_nothing(
    client: TestClient, database: Database, queue: InMemoryJobQueue, spec: Spec
) -> None:
    with database.write() as session:
        membership.register(session, "worker_1", WORKER_FACTS)
    queue.sent.clear()
    headers = {"Idempotency-Key": "plan"}
    response = client.post("/v1/jobs", params={"validate_only": True}, json=spec, headers=headers)
    plan = response.json()
    assert (response.status_code, "Location" in response.headers) == (200, False)
    assert (plan["valid"], plan["status"], plan["queue"], plan["problems"]) == (
        True,
        "queued",
        "train",
        [],
    )
    assert (plan["spec"]["method"]["name"], plan["waiting_for"]) == ("plain", None)
    assert (client.get("/v1/jobs").json()["items"], queue.sent) == ([], [])
    assert client.post("/v1/jobs", json=spec, headers=headers).status_code == 201


def test_a_plan_lists_why_the_request_would_be_rejected(client: TestClient, spec: Spec) -> None:
    response = client.post(
        "/v1/jobs", params={"validate_only": True}, json=spec | {"dataset": {"id": "dataset_none"}}
    )
    plan = response.json()
    assert (response.status_code, plan["valid"], plan["status"]) == (200, False, None)
    assert [(problem["pointer"], problem["code"]) for problem in plan["problems"]] == [
        ("/dataset/id", "dataset_unknown")
    ]
    assert client.post("/v1/jobs", params={"validate_only": True}, json={}).status_code == 422


def list_job_ids(client: TestClient, **params: Any) -> list[str]:
    return [job["id"] for job in client.get("/v1/jobs", params=params).json()["items"]]


def test_jobs_are_filtered_by_label_status_owner_time_and_name(
    client: TestClient, spec: Spec
) -> None:
    first = client.post(
        "/v1/jobs", json=spec | {"name": "one", "labels": {"team": "vision", "n": "1"}}
    ).json()
    second = client.post(
        "/v1/jobs", json=spec | {"name": "two", "labels": {"team": "vision"}}
    ).json()
    client.post(f"/v1/jobs/{first['id']}/cancel")
    assert list_job_ids(client, label=["team:vision"]) == [second["id"], first["id"]]
    assert list_job_ids(client, label=["team:vision", "n:1"]) == [first["id"]]
    assert list_job_ids(client, status=["cancelled", "queued"]) == [second["id"], first["id"]]
    assert list_job_ids(client, status="cancelled") == [first["id"]]
    assert list_job_ids(client, owner=first["owner"], name="TW") == [second["id"]]
    assert list_job_ids(client, owner="key_none") == []
    assert list_job_ids(client, method="plain", student="resnet8") == [second["id"], first["id"]]
    hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    assert (
        list_job_ids(client, created_after=hour_ago),
        list_job_ids(client, created_before=hour_ago),
    ) == ([second["id"], first["id"]], [])


@pytest.mark.parametrize(
    ("params", "parameter"),
    [
        ({"label": "team"}, "label"),
        ({"created_after": "today"}, "created_after"),
        ({"lable": "a:b"}, "lable"),
        ({"limit": 0}, "limit"),
    ],
)
def test_an_invalid_filter_is_named(
    client: TestClient, params: dict[str, Any], parameter: str
) -> None:
    response = client.get("/v1/jobs", params=params)
    assert (response.status_code, [entry["parameter"] for entry in response.json()["errors"]]) == (
        422,
        [parameter],
    )


def test_descriptions_and_priority_are_changed(
    client: TestClient, worker: FakeWorker, job: str
) -> None:
    patch = {"name": "better", "notes": "n", "labels": {"team": None, "x": "1"}, "priority": 3}
    changed = client.patch(f"/v1/jobs/{job}", json=patch)
    assert changed.status_code == 200
    assert [changed.json()[name] for name in patch] == ["better", "n", {"x": "1"}, 3]
    worker.claim("train")
    response = client.patch(f"/v1/jobs/{job}", json={"priority": 4})
    assert (response.status_code, response.json()["code"]) == (409, "job_not_waiting")
    assert (
        client.patch(f"/v1/jobs/{job}", json={"status": "succeeded"}).json()["errors"][0]["pointer"]
        == "/status"
    )
    assert client.patch("/v1/jobs/job_none", json={"name": "x"}).status_code == 404


def test_a_deleted_job_is_gone_with_its_files(
    client: TestClient, worker: FakeWorker, settings: Settings, job: str
) -> None:
    response = client.delete(f"/v1/jobs/{job}")
    assert (response.status_code, response.json()["code"]) == (409, "job_not_ended")
    before = len(list_stored_files(settings))
    model_id = worker.finish_training(worker.claim("train"))
    response = client.delete(f"/v1/jobs/{job}")
    assert (response.status_code, response.json()["code"]) == (409, "job_has_model")
    assert len(list_stored_files(settings)) == before + 1
    assert client.delete(f"/v1/jobs/{job}", params={"with_model": True}).status_code == 204
    assert (
        client.get(f"/v1/jobs/{job}").status_code
        == client.get(f"/v1/models/{model_id}").status_code
        == 404
    )
    assert len(list_stored_files(settings)) == before


def test_the_checkpoint_of_a_job_is_deleted_with_it(
    client: TestClient, worker: FakeWorker, store: Store, settings: Settings, job: str
) -> None:
    before, claim = len(list_stored_files(settings)), worker.claim("train")
    store.put_key(
        f"checkpoints/{job}/1-1",
        store.local_path(claim.inputs["dataset"]["digest"]) or settings.data,
    )
    with worker.database.write() as session:
        claims.record_checkpoint(session, claim, f"checkpoints/{job}/1-1", 1)
        claims.fail(
            session, claim, error={"code": "x", "message": "", "hint": "", "retryable": False}
        )
    assert len(list_stored_files(settings)) == before + 1
    client.delete(f"/v1/jobs/{job}")
    assert len(list_stored_files(settings)) == before


def write_log(worker: FakeWorker, *lines: str) -> claims.Claim:
    claim = worker.claim("train")
    with worker.database.write() as session:
        claims.record_update(session, claim, claims.AttemptUpdate(log_lines=list(lines)))
    return claim


def test_a_log_is_read_in_pages_from_its_end_and_as_text(
    client: TestClient, worker: FakeWorker, job: str
) -> None:
    write_log(worker, "one", "zwei ü", "three")
    path = f"/v1/jobs/{job}/logs"
    first = client.get(path, params={"limit": 2}).json()
    assert [(line["id"], line["attempt"], line["line"]) for line in first["items"]] == [
        (1, 1, "one"),
        (2, 1, "zwei ü"),
    ]
    second = client.get(path, params={"after": first["cursor"]}).json()
    assert [line["line"] for line in second["items"]] == ["three"]
    assert client.get(path, params={"after": second["cursor"]}).json() == {
        "items": [],
        "cursor": second["cursor"],
    }
    assert [line["id"] for line in client.get(path, params={"tail": 2}).json()["items"]] == [2, 3]
    text = client.get(path, headers={"Accept": "text/plain"})
    assert (text.headers["Content-Type"], text.text) == (
        "text/plain; charset=utf-8",
        "one\nzwei ü\nthree\n",
    )
    assert client.get(path, params={"attempt": 2}).json()["items"] == []
    assert client.get(path, params={"after": "x"}).json()["code"] == "cursor_invalid"
    assert client.get("/v1/jobs/job_none/logs").status_code == 404


def test_attempts_are_listed_with_their_checkpoints(
    client: TestClient, worker: FakeWorker, job: str
) -> None:
    claim = write_log(worker)
    with worker.database.write() as session:
        claims.record_checkpoint(session, claim, "checkpoints/x", 5)
        claims.release(session, claim)
    worker.claim("train")
    items = client.get(f"/v1/jobs/{job}/attempts").json()["items"]
    assert [
        (item["number"], item["status"], item["resumed_step"], item["saved_step"]) for item in items
    ] == [
        (1, "returned", None, 5),
        (2, "running", 5, None),
    ]
    assert client.get("/v1/jobs/job_none/attempts").status_code == 404


def test_logs_and_events_continue_after_a_restart_of_the_service(
    client: TestClient, worker: FakeWorker, settings: Settings, key: str, job: str
) -> None:
    claim = write_log(worker, "before")
    cursor = client.get(f"/v1/jobs/{job}/events").json()["cursor"]
    database = Database(settings.database_url)
    restarted_app: FastAPI = create_app(
        settings, database, InMemoryJobQueue(), Store(settings.store_url)
    )
    with TestClient(
        restarted_app, base_url="http://127.0.0.1:8000", headers={"Authorization": f"Bearer {key}"}
    ) as restarted_client:
        assert restarted_client.get(f"/v1/jobs/{job}/logs").json()["items"][0]["line"] == "before"
        worker.finish_training(claim)
        stream = {"Accept": "text/event-stream", "Last-Event-ID": cursor}
        stream_text = restarted_client.get(f"/v1/jobs/{job}/events", headers=stream).text
    database.close()
    ids = [
        int(line.removeprefix("id: "))
        for line in stream_text.splitlines()
        if line.startswith("id: ")
    ]
    assert ids == list(range(int(cursor) + 1, int(cursor) + 1 + len(ids)))
    assert '"to":"succeeded"' in stream_text
