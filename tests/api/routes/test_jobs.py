"""Jobs over HTTP: submission, retrieval, listing, cancellation, inputs, models and metrics."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from registry.testing import InMemoryJobQueue
from tests.api.fake_worker import CHECKPOINT, FakeWorker

Spec = dict[str, Any]


def test_a_job_is_queued_if_its_inputs_are_ready(
    client: TestClient, queue: InMemoryJobQueue, spec: Spec
) -> None:
    queue.sent.clear()
    response = client.post("/v1/jobs", json=spec | {"name": "first"})
    assert response.status_code == 201
    job = response.json()
    assert response.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert (job["name"], job["status"], job["error"], job["model_id"], job["attempts"]) == (
        "first",
        "queued",
        None,
        None,
        [],
    )
    assert job["progress"] == dict.fromkeys(
        ("phase", "epoch", "epochs", "step", "steps", "eta_seconds", "images_per_second")
    ) | {"fraction": 0.0}
    assert job["spec"]["training"]["epochs"] == 2
    assert job["spec"]["method"] == {"name": "plain", "views": "single"}
    assert job["created_at"].endswith("Z")
    assert client.get(f"/v1/jobs/{job['id']}").json() == job
    assert queue.sent == [("train", job["id"])]


def test_a_job_waits_for_the_check_of_its_teacher(
    client: TestClient, queue: InMemoryJobQueue, worker: FakeWorker, spec: Spec
) -> None:
    teacher = client.post("/v1/teachers", files={"file": ("big.th", CHECKPOINT)}).json()
    queue.sent.clear()
    job = client.post("/v1/jobs", json=spec | {"teacher": {"id": teacher["id"]}}).json()
    assert (job["status"], job["spec"]["method"]["name"], queue.sent) == (
        "validating",
        "dlkd_auto",
        [],
    )
    worker.check_teacher()
    assert client.get(f"/v1/jobs/{job['id']}").json()["status"] == "queued"


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"dataset": {"id": "dataset_none"}}, "/dataset/id", "dataset_unknown"),
        ({"teacher": {"id": "teacher_none"}}, "/teacher/id", "teacher_unknown"),
        ({"teacher": {"model_id": "model_none"}}, "/teacher/model_id", "model_unknown"),
        ({"student": {"architecture": "vit_b_16"}}, "/student/architecture", "image_too_small"),
    ],
)
def test_unknown_and_unsuitable_inputs_are_named(
    client: TestClient, spec: Spec, change: Spec, pointer: str, code: str
) -> None:
    response = client.post("/v1/jobs", json=spec | change)
    assert (response.status_code, response.json()["code"]) == (422, code)
    assert [entry["pointer"] for entry in response.json()["errors"]] == [pointer]
    assert client.get("/v1/jobs").json()["items"] == []


def test_a_teacher_with_other_classes_is_rejected_at_once(
    client: TestClient, worker: FakeWorker, spec: Spec
) -> None:
    teacher = client.post("/v1/teachers", files={"file": ("big.th", CHECKPOINT)}).json()
    worker.check_teacher(num_classes=10)
    response = client.post("/v1/jobs", json=spec | {"teacher": {"id": teacher["id"]}})
    assert (response.status_code, response.json()["code"]) == (422, "classes_do_not_fit")
    with_class_map = spec | {"teacher": {"id": teacher["id"], "class_map": [3, 5]}}
    assert client.post("/v1/jobs", json=with_class_map).status_code == 201


def test_published_weights_need_no_upload(
    client: TestClient, queue: InMemoryJobQueue, worker: FakeWorker, spec: Spec
) -> None:
    queue.sent.clear()
    response = client.post("/v1/jobs", json=spec | {"teacher": {"pretrained": "resnet50"}})
    assert (response.status_code, response.json()["status"]) == (201, "queued")
    assert response.json()["spec"]["teacher"]["pretrained"] == "resnet50"
    assert worker.claim("train").inputs["teacher"]["pretrained"] == "resnet50"


@pytest.mark.parametrize(
    ("teacher", "pointer", "code"),
    [
        ({"pretrained": "resnet20"}, "/teacher/pretrained", "weights_unpublished"),
        ({"pretrained": "timm/resnet_26"}, "/teacher/pretrained", "unknown_choice"),
        ({"pretrained": "resnet50", "id": "teacher_1"}, "/teacher", "one_of"),
        (
            {"pretrained": "resnet50", "architecture": "resnet50"},
            "/teacher/architecture",
            "architecture_unused",
        ),
    ],
)
def test_unknown_published_weights_are_rejected(
    client: TestClient, spec: Spec, teacher: Spec, pointer: str, code: str
) -> None:
    response = client.post("/v1/jobs", json=spec | {"teacher": teacher})
    assert response.status_code == 422
    assert [(entry["pointer"], entry["code"]) for entry in response.json()["errors"]] == [
        (pointer, code)
    ]


def test_published_weights_for_larger_images_are_rejected_at_once(
    client: TestClient, spec: Spec
) -> None:
    response = client.post("/v1/jobs", json=spec | {"teacher": {"pretrained": "vit_b_16"}})
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (
        422,
        "/teacher/pretrained",
    )


def test_the_networks_of_the_paper_have_no_published_weights(
    client: TestClient, spec: Spec
) -> None:
    response = client.post(
        "/v1/jobs", json=spec | {"student": {"architecture": "resnet20", "pretrained": True}}
    )
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (
        422,
        "/student/pretrained",
    )
    assert (
        client.post(
            "/v1/jobs",
            json=spec | {"student": {"architecture": "timm/resnet26", "pretrained": True}},
        ).status_code
        == 201
    )


def test_only_the_features_of_a_teacher_without_classifier_can_be_distilled(
    client: TestClient, worker: FakeWorker, spec: Spec
) -> None:
    teacher = client.post("/v1/teachers", files={"file": ("moco.pth", CHECKPOINT)}).json()
    worker.check_teacher(num_classes=0)
    with_teacher = spec | {"teacher": {"id": teacher["id"]}}
    rejected = client.post("/v1/jobs", json=with_teacher | {"method": {"name": "kd"}})
    assert (rejected.status_code, rejected.json()["code"]) == (422, "logits_needed")
    assert "seed" in rejected.json()["hint"]
    assert (
        client.post("/v1/jobs", json=with_teacher | {"method": {"name": "seed"}}).status_code == 201
    )
    with_class_map = spec | {
        "teacher": {"id": teacher["id"], "class_map": [0, 1]},
        "method": {"name": "seed"},
    }
    assert client.post("/v1/jobs", json=with_class_map).json()["code"] == "classes_do_not_fit"


def test_the_same_request_sent_twice_with_one_key_creates_one_job(
    client: TestClient, queue: InMemoryJobQueue, spec: Spec
) -> None:
    queue.sent.clear()
    responses = [
        client.post("/v1/jobs", json=spec, headers={"Idempotency-Key": "once"}) for _ in range(2)
    ]
    assert [response.status_code for response in responses] == [201, 201]
    assert responses[0].json() == responses[1].json()
    assert responses[0].headers["Location"] == responses[1].headers["Location"]
    assert len(client.get("/v1/jobs").json()["items"]) == len(queue.sent) == 1


def test_another_request_with_the_same_key_is_rejected(client: TestClient, spec: Spec) -> None:
    client.post("/v1/jobs", json=spec, headers={"Idempotency-Key": "once"})
    response = client.post(
        "/v1/jobs", json=spec | {"name": "other"}, headers={"Idempotency-Key": "once"}
    )
    assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")


def test_a_rejected_request_does_not_use_up_its_key(client: TestClient, spec: Spec) -> None:
    headers = {"Idempotency-Key": "once"}
    assert (
        client.post(
            "/v1/jobs", json=spec | {"dataset": {"id": "none"}}, headers=headers
        ).status_code
        == 422
    )
    assert client.post("/v1/jobs", json=spec, headers=headers).status_code == 201


def test_jobs_are_listed_newest_first_by_status_and_in_pages(
    client: TestClient, spec: Spec
) -> None:
    ids = [client.post("/v1/jobs", json=spec).json()["id"] for _ in range(3)]
    client.post(f"/v1/jobs/{ids[1]}/cancel")
    first = client.get("/v1/jobs", params={"limit": 2}).json()
    second = client.get(
        "/v1/jobs", params={"limit": 1_000_000, "cursor": first["next_cursor"]}
    ).json()
    assert [job["id"] for job in first["items"] + second["items"]] == ids[::-1]
    assert [
        job["id"] for job in client.get("/v1/jobs", params={"status": "cancelled"}).json()["items"]
    ] == [ids[1]]


def test_clients_do_not_see_the_check_jobs_of_uploads(
    client: TestClient, queue: InMemoryJobQueue, dataset: str
) -> None:
    assert dataset
    assert client.get("/v1/jobs").json()["items"] == []
    assert client.get(f"/v1/jobs/{queue.sent[0][1]}").status_code == 404


def test_a_waiting_job_is_cancelled_at_once_and_only_once(client: TestClient, spec: Spec) -> None:
    job = client.post("/v1/jobs", json=spec).json()
    responses = [client.post(f"/v1/jobs/{job['id']}/cancel") for _ in range(2)]
    assert [(response.status_code, response.json()["status"]) for response in responses] == [
        (200, "cancelled")
    ] * 2
    assert responses[1].json()["finished_at"] is not None


def test_a_running_job_is_cancelling_until_it_has_stopped(
    client: TestClient, worker: FakeWorker, spec: Spec
) -> None:
    job = client.post("/v1/jobs", json=spec).json()
    worker.claim("train")
    assert client.post(f"/v1/jobs/{job['id']}/cancel").json()["status"] == "cancelling"


def test_a_finished_job_cannot_be_cancelled(
    client: TestClient, worker: FakeWorker, spec: Spec
) -> None:
    job = client.post("/v1/jobs", json=spec).json()
    worker.finish_training(worker.claim("train"))
    response = client.post(f"/v1/jobs/{job['id']}/cancel")
    assert (response.status_code, response.json()["code"]) == (409, "job_ended")


def test_a_finished_job_names_its_model_and_attempts(
    client: TestClient, worker: FakeWorker, spec: Spec
) -> None:
    job = client.post("/v1/jobs", json=spec).json()
    model_id = worker.finish_training(worker.claim("train"))
    finished = client.get(f"/v1/jobs/{job['id']}").json()
    assert (finished["status"], finished["model_id"], finished["progress"]["fraction"]) == (
        "succeeded",
        model_id,
        1.0,
    )
    assert [(attempt["number"], attempt["status"]) for attempt in finished["attempts"]] == [
        (1, "succeeded")
    ]
    assert finished["started_at"] is not None


def test_metrics_are_thinned_and_keep_their_last_point(
    client: TestClient, worker: FakeWorker, spec: Spec
) -> None:
    job = client.post("/v1/jobs", json=spec).json()
    worker.finish_training(worker.claim("train"))
    points = client.get(f"/v1/jobs/{job['id']}/metrics", params={"max_points": 10}).json()[
        "series"
    ]["val/top1"]
    assert len(points) <= 10
    assert points[-1] == {"step": 100, "epoch": 1, "attempt": 1, "value": 1.0}
    assert client.get(f"/v1/jobs/{job['id']}/metrics", params={"name": "loss"}).json() == {
        "series": {}
    }
    assert client.get("/v1/jobs/job_none/metrics").status_code == 404
