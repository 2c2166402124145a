"""Jobs under control over HTTP: paused, resumed, tried again, cloned, stopped at once."""

from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from registry import claims
from registry.lifecycle import JobStatus
from registry.testing import MemoryQueue
from tests.api.conftest import CHECKPOINT, FakeWorker

Spec = dict[str, Any]
MISTAKE = {"code": "training_diverged", "message": "NaN.", "hint": "", "retryable": False}


@pytest.fixture
def job(client: TestClient, queue: MemoryQueue, spec: Spec) -> str:
    job = str(client.post("/v1/jobs", json=spec | {"name": "first", "labels": {"team": "vision"}}).json()["id"])
    queue.sent.clear()
    return job


def run(worker: FakeWorker) -> claims.Claim:
    claim = worker.claim("train")
    with worker.database.write() as session:
        claims.enter(session, claim, JobStatus.RUNNING)
    return claim


def fail(worker: FakeWorker) -> None:
    claim = run(worker)
    with worker.database.write() as session:
        claims.checkpoint(session, claim, "checkpoints/x", 7)
        claims.fail(session, claim, error=MISTAKE, log_tail=["the reason"])


def test_a_waiting_job_is_held_back_and_queued_again_with_a_hint(client: TestClient, queue: MemoryQueue, job: str) -> None:
    paused = client.post(f"/v1/jobs/{job}/pause").json()
    assert (paused["status"], paused["waiting_for"], queue.sent) == ("paused", "a resume", [])
    assert client.post(f"/v1/jobs/{job}/resume").json()["status"] == "queued"
    assert queue.sent == [("train", job)]


def test_a_running_job_is_pausing_until_its_worker_has_stopped(client: TestClient, worker: FakeWorker, job: str) -> None:
    claim = run(worker)
    assert client.post(f"/v1/jobs/{job}/pause").json()["status"] == "pausing"
    with worker.database.write() as session:
        claims.give_back(session, claim)
    assert client.get(f"/v1/jobs/{job}").json()["status"] == "paused"
    assert client.post(f"/v1/jobs/{job}/cancel").json()["status"] == "cancelled"


def test_resuming_twice_is_resuming_once(client: TestClient, queue: MemoryQueue, job: str) -> None:
    client.post(f"/v1/jobs/{job}/pause")
    assert [client.post(f"/v1/jobs/{job}/resume").json()["status"] for _ in range(2)] == ["queued", "queued"]
    events = client.get(f"/v1/jobs/{job}/events").json()["items"]
    assert [event["data"]["to"] for event in events] == ["queued", "paused", "queued"]
    assert set(queue.sent) == {("train", job)}


@pytest.mark.parametrize(
    ("action", "code"), [("pause", "job_ended"), ("resume", "job_ended"), ("retry", "job_ended"), ("cancel", "job_ended")]
)
def test_what_a_job_that_succeeded_cannot_do_is_a_conflict(
    client: TestClient, worker: FakeWorker, job: str, action: str, code: str
) -> None:
    worker.train(worker.claim("train"))
    answer = client.post(f"/v1/jobs/{job}/{action}")
    assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert client.post(f"/v1/jobs/job_none/{action}").status_code == 404


def test_a_failed_job_is_tried_again_from_its_checkpoint_and_once_for_one_key(
    client: TestClient, worker: FakeWorker, queue: MemoryQueue, job: str
) -> None:
    fail(worker)
    failed = client.get(f"/v1/jobs/{job}").json()
    assert (failed["error"]["class"], failed["error"]["log"], failed["checkpoint_step"]) == ("user", ["the reason"], 7)
    headers = {"Idempotency-Key": "again"}
    answers = [client.post(f"/v1/jobs/{job}/retry", headers=headers) for _ in range(2)]
    assert [(answer.status_code, answer.json()["status"]) for answer in answers] == [(200, "queued")] * 2
    assert answers[0].json() == answers[1].json()
    assert queue.sent == [("train", job)]
    assert worker.claim("train").resume_from == "checkpoints/x"
    assert client.post(f"/v1/jobs/{job}/retry").json()["code"] == "job_not_ended"
    other = client.post(f"/v1/jobs/{job}/retry", json={"from_start": True}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_a_retry_can_begin_anew(client: TestClient, worker: FakeWorker, job: str) -> None:
    fail(worker)
    again = client.post(f"/v1/jobs/{job}/retry", json={"from_start": True}).json()
    assert (again["checkpoint_step"], again["error"], again["finished_at"]) == (None, None, None)
    assert worker.claim("train").resume_from is None


def test_a_bad_retry_is_named(client: TestClient, job: str) -> None:
    answer = client.post(f"/v1/jobs/{job}/retry", json={"from_scratch": True})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/from_scratch")


def test_a_cancel_may_be_forced(client: TestClient, worker: FakeWorker, job: str) -> None:
    claim = run(worker)
    assert client.post(f"/v1/jobs/{job}/cancel", params={"force": True}).json()["status"] == "cancelling"
    with worker.database.write() as session:
        assert claims.heartbeat(session, claim, lease=timedelta(minutes=1)).stop == "kill"


def test_a_clone_is_another_job_with_changes(client: TestClient, worker: FakeWorker, queue: MemoryQueue, job: str) -> None:
    worker.train(worker.claim("train"))
    patch = {"training": {"epochs": 5}, "labels": {"team": None, "try": "2"}, "name": "second"}
    headers = {"Content-Type": "application/merge-patch+json"}
    answer = client.post(f"/v1/jobs/{job}/clone", json=patch, headers=headers)
    clone = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (201, f"/v1/jobs/{clone['id']}")
    assert (clone["cloned_from"], clone["status"], clone["name"], clone["labels"]) == (job, "queued", "second", {"try": "2"})
    assert clone["spec"]["training"]["epochs"] == 5
    assert queue.sent == [("train", clone["id"])]
    plain = client.post(f"/v1/jobs/{job}/clone").json()
    assert (plain["spec"], plain["labels"]) == (client.get(f"/v1/jobs/{job}").json()["spec"], {"team": "vision"})


def test_a_clone_may_have_a_teacher_and_its_method(client: TestClient, worker: FakeWorker, job: str) -> None:
    teacher = client.post("/v1/teachers", files={"file": ("big.th", CHECKPOINT)}).json()["id"]
    worker.check_teacher()
    changes = {"teacher": {"id": teacher}, "method": {"name": "kd"}}
    assert client.post(f"/v1/jobs/{job}/clone", json=changes).json()["spec"]["method"]["name"] == "kd"


@pytest.mark.parametrize(
    ("patch", "pointer"),
    [
        ({"training": {"epochs": 0}}, "/training/epochs"),
        ({"student": {"architecture": "resnet21"}}, "/student/architecture"),
        ({"colour": "red"}, "/colour"),
        ({"dataset": None}, "/dataset"),
    ],
)
def test_a_clone_that_does_not_fit_is_refused_with_the_field(client: TestClient, job: str, patch: Spec, pointer: str) -> None:
    answer = client.post(f"/v1/jobs/{job}/clone", json=patch)
    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid")
    assert [entry["pointer"] for entry in answer.json()["errors"]] == [pointer]
    assert len(client.get("/v1/jobs").json()["items"]) == 1


def test_one_key_makes_one_clone(client: TestClient, job: str) -> None:
    answers = [client.post(f"/v1/jobs/{job}/clone", headers={"Idempotency-Key": "k"}).json()["id"] for _ in range(2)]
    assert answers[0] == answers[1]
    assert len(client.get("/v1/jobs").json()["items"]) == 2
