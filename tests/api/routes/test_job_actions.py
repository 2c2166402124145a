"""Job actions: pause, resume, retry, clone and cancel."""

from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from registry.attempts import claims
from registry.jobs.lifecycle import JobStatus
from registry.testing import InMemoryJobQueue
from tests.api.fake_worker import CHECKPOINT, FakeWorker

Spec = dict[str, Any]
TRAINING_ERROR = {"code": "training_diverged", "message": "NaN.", "hint": "", "retryable": False}


@pytest.fixture
def job(client: TestClient, queue: InMemoryJobQueue, spec: Spec) -> str:
    job = str(
        client.post("/v1/jobs", json=spec | {"name": "first", "labels": {"team": "vision"}}).json()[
            "id"
        ]
    )
    queue.sent.clear()
    return job


def start_run(worker: FakeWorker) -> claims.Claim:
    claim = worker.claim("train")
    with worker.database.write() as session:
        claims.advance_status(session, claim, JobStatus.RUNNING)
    return claim


def fail_run(worker: FakeWorker) -> None:
    claim = start_run(worker)
    with worker.database.write() as session:
        claims.record_checkpoint(session, claim, "checkpoints/x", 7)
        claims.fail(session, claim, error=TRAINING_ERROR, log_tail=["the reason"])


def test_a_paused_job_is_queued_again_by_a_resume(
    client: TestClient, queue: InMemoryJobQueue, job: str
) -> None:
    paused = client.post(f"/v1/jobs/{job}/pause").json()
    assert (paused["status"], paused["waiting_for"], queue.sent) == ("paused", "a resume", [])
    assert client.post(f"/v1/jobs/{job}/resume").json()["status"] == "queued"
    assert queue.sent == [("train", job)]


def test_a_running_job_is_pausing_until_its_worker_has_stopped(
    client: TestClient, worker: FakeWorker, job: str
) -> None:
    claim = start_run(worker)
    assert client.post(f"/v1/jobs/{job}/pause").json()["status"] == "pausing"
    with worker.database.write() as session:
        claims.release(session, claim)
    assert client.get(f"/v1/jobs/{job}").json()["status"] == "paused"
    assert client.post(f"/v1/jobs/{job}/cancel").json()["status"] == "cancelled"


def test_a_repeated_resume_changes_nothing(
    client: TestClient, queue: InMemoryJobQueue, job: str
) -> None:
    client.post(f"/v1/jobs/{job}/pause")
    assert [client.post(f"/v1/jobs/{job}/resume").json()["status"] for _ in range(2)] == [
        "queued",
        "queued",
    ]
    events = client.get(f"/v1/jobs/{job}/events").json()["items"]
    assert [event["data"]["to"] for event in events] == ["queued", "paused", "queued"]
    assert set(queue.sent) == {("train", job)}


@pytest.mark.parametrize(
    ("action", "code"),
    [
        ("pause", "job_ended"),
        ("resume", "job_ended"),
        ("retry", "job_ended"),
        ("cancel", "job_ended"),
    ],
)
def test_actions_on_a_succeeded_job_are_a_conflict(
    client: TestClient, worker: FakeWorker, job: str, action: str, code: str
) -> None:
    worker.finish_training(worker.claim("train"))
    response = client.post(f"/v1/jobs/{job}/{action}")
    assert (response.status_code, response.json()["code"]) == (409, code)
    assert client.post(f"/v1/jobs/job_none/{action}").status_code == 404


def test_a_failed_job_is_retried_from_its_checkpoint_and_once_per_key(
    client: TestClient, worker: FakeWorker, queue: InMemoryJobQueue, job: str
) -> None:
    fail_run(worker)
    failed = client.get(f"/v1/jobs/{job}").json()
    assert (failed["error"]["class"], failed["error"]["log"], failed["checkpoint_step"]) == (
        "user",
        ["the reason"],
        7,
    )
    headers = {"Idempotency-Key": "again"}
    responses = [client.post(f"/v1/jobs/{job}/retry", headers=headers) for _ in range(2)]
    assert [(response.status_code, response.json()["status"]) for response in responses] == [
        (200, "queued")
    ] * 2
    assert responses[0].json() == responses[1].json()
    assert queue.sent == [("train", job)]
    assert worker.claim("train").resume_from == "checkpoints/x"
    assert client.post(f"/v1/jobs/{job}/retry").json()["code"] == "job_not_ended"
    different_request = client.post(
        f"/v1/jobs/{job}/retry", json={"from_start": True}, headers=headers
    )
    assert (different_request.status_code, different_request.json()["code"]) == (
        422,
        "idempotency_key_reused",
    )


def test_a_retry_can_start_over(client: TestClient, worker: FakeWorker, job: str) -> None:
    fail_run(worker)
    retried = client.post(f"/v1/jobs/{job}/retry", json={"from_start": True}).json()
    assert (retried["checkpoint_step"], retried["error"], retried["finished_at"]) == (
        None,
        None,
        None,
    )
    assert worker.claim("train").resume_from is None


def test_an_invalid_field_of_a_retry_is_named(client: TestClient, job: str) -> None:
    response = client.post(f"/v1/jobs/{job}/retry", json={"from_scratch": True})
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "/from_scratch")


def test_a_cancel_can_be_forced(client: TestClient, worker: FakeWorker, job: str) -> None:
    claim = start_run(worker)
    assert (
        client.post(f"/v1/jobs/{job}/cancel", params={"force": True}).json()["status"]
        == "cancelling"
    )
    with worker.database.write() as session:
        assert claims.heartbeat(session, claim, lease=timedelta(minutes=1)).stop == "kill"


def test_a_clone_is_a_new_job_with_changes(
    client: TestClient, worker: FakeWorker, queue: InMemoryJobQueue, job: str
) -> None:
    worker.finish_training(worker.claim("train"))
    patch = {"training": {"epochs": 5}, "labels": {"team": None, "try": "2"}, "name": "second"}
    headers = {"Content-Type": "application/merge-patch+json"}
    response = client.post(f"/v1/jobs/{job}/clone", json=patch, headers=headers)
    clone = response.json()
    assert (response.status_code, response.headers["Location"]) == (201, f"/v1/jobs/{clone['id']}")
    assert (clone["cloned_from"], clone["status"], clone["name"], clone["labels"]) == (
        job,
        "queued",
        "second",
        {"try": "2"},
    )
    assert clone["spec"]["training"]["epochs"] == 5
    assert queue.sent == [("train", clone["id"])]
    unchanged_clone = client.post(f"/v1/jobs/{job}/clone").json()
    assert (unchanged_clone["spec"], unchanged_clone["labels"]) == (
        client.get(f"/v1/jobs/{job}").json()["spec"],
        {"team": "vision"},
    )


def test_a_clone_can_add_a_teacher_and_a_method(
    client: TestClient, worker: FakeWorker, job: str
) -> None:
    teacher = client.post("/v1/teachers", files={"file": ("big.th", CHECKPOINT)}).json()["id"]
    worker.check_teacher()
    changes = {"teacher": {"id": teacher}, "method": {"name": "kd"}}
    assert (
        client.post(f"/v1/jobs/{job}/clone", json=changes).json()["spec"]["method"]["name"] == "kd"
    )


@pytest.mark.parametrize(
    ("patch", "pointer"),
    [
        ({"training": {"epochs": 0}}, "/training/epochs"),
        ({"student": {"architecture": "resnet21"}}, "/student/architecture"),
        ({"colour": "red"}, "/colour"),
        ({"dataset": None}, "/dataset"),
    ],
)
def test_an_invalid_clone_is_rejected_with_its_field(
    client: TestClient, job: str, patch: Spec, pointer: str
) -> None:
    response = client.post(f"/v1/jobs/{job}/clone", json=patch)
    assert (response.status_code, response.json()["code"]) == (422, "request_invalid")
    assert [entry["pointer"] for entry in response.json()["errors"]] == [pointer]
    assert len(client.get("/v1/jobs").json()["items"]) == 1


def test_one_idempotency_key_creates_one_clone(client: TestClient, job: str) -> None:
    responses = [
        client.post(f"/v1/jobs/{job}/clone", headers={"Idempotency-Key": "k"}).json()["id"]
        for _ in range(2)
    ]
    assert responses[0] == responses[1]
    assert len(client.get("/v1/jobs").json()["items"]) == 2
