"""Deletion of teachers and datasets. If a job or model needs them, the deletion is refused."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from registry.settings import Settings
from tests.api.fake_worker import CHECKPOINT, FakeWorker, list_stored_files
from tests.api.problem_responses import status_and_code


@pytest.fixture
def teacher(client: TestClient, worker: FakeWorker) -> str:
    """Return the id of a checked teacher."""
    created = client.post("/v1/teachers", files={"file": ("big.th", CHECKPOINT)}).json()
    worker.check_teacher()
    return str(created["id"])


def test_deleted_inputs_are_gone_with_their_files(
    client: TestClient, settings: Settings, teacher: str, dataset: str
) -> None:
    # the checkpoint, the archive, the packed images, the samples and the examples
    assert len(list_stored_files(settings)) == 5
    for kind, row_id in (("teachers", teacher), ("datasets", dataset)):
        path = f"/v1/{kind}/{row_id}"
        response = client.delete(path)
        assert (response.status_code, response.content) == (204, b"")
        for repeated in (client.get(path), client.delete(path)):
            assert status_and_code(repeated) == (404, "not_found")
        assert client.get(f"/v1/{kind}").json()["items"] == []
    assert status_and_code(client.get(f"/v1/datasets/{dataset}/samples")) == (404, "not_found")
    assert list_stored_files(settings) == []
    assert client.get("/v1/usage").json()["stored_bytes"]["used"] == 0
    actions = [entry["action"] for entry in client.get("/v1/audit").json()["items"]]
    assert actions[:2] == ["dataset.deleted", "teacher.deleted"]


def test_an_input_whose_check_is_queued_is_deleted_at_once(
    client: TestClient, settings: Settings
) -> None:
    """No worker needs to be running. Users can delete a wrong file as soon as they notice it."""
    created = client.post("/v1/teachers", files={"file": ("wrong.th", CHECKPOINT)}).json()
    assert client.delete(f"/v1/teachers/{created['id']}").status_code == 204
    assert list_stored_files(settings) == []


def test_the_inputs_of_a_job_cannot_be_deleted_before_it_has_ended(
    client: TestClient, worker: FakeWorker, spec: dict[str, Any], teacher: str, dataset: str
) -> None:
    job = client.post(
        "/v1/jobs", json=spec | {"teacher": {"id": teacher}, "method": {"name": "kd"}}
    ).json()["id"]
    paths = {"teacher": f"/v1/teachers/{teacher}", "dataset": f"/v1/datasets/{dataset}"}
    for kind, path in paths.items():
        response = client.delete(path, params={"force": True})
        assert status_and_code(response) == (409, f"{kind}_in_use")
        assert job in response.json()["hint"]
    model = worker.finish_training(worker.claim("train"))
    for kind, path in paths.items():
        response = client.delete(path)
        assert status_and_code(response) == (409, f"{kind}_in_lineage")
        assert model in response.json()["detail"]
        assert "force=true" in response.json()["hint"]
        assert client.delete(path, params={"force": True}).status_code == 204
    nodes = {node["id"]: node for node in client.get(f"/v1/models/{model}/lineage").json()["nodes"]}
    assert {row_id for row_id, node in nodes.items() if node["deleted"]} == {teacher, dataset}
    assert (nodes[teacher]["name"], nodes[dataset]["name"]) == ("big.th", "pets.zip")
    assert (
        len(nodes[teacher]["facts"]["used_sha256"]) == len(nodes[dataset]["facts"]["sha256"]) == 64
    )
    finished_job = client.get(f"/v1/jobs/{job}").json()
    assert (finished_job["teacher_id"], finished_job["dataset_id"], finished_job["model_id"]) == (
        teacher,
        dataset,
        model,
    )
    assert [
        entry["id"]
        for entry in client.get("/v1/models", params={"dataset": dataset}).json()["items"]
    ] == [model]
    assert client.get(f"/v1/models/{model}/files/student.onnx").content == b"weights of the student"


def test_a_job_whose_data_set_was_deleted_can_be_cloned_with_another(
    client: TestClient, worker: FakeWorker, spec: dict[str, Any], dataset: str, archive: bytes
) -> None:
    job = client.post("/v1/jobs", json=spec).json()["id"]
    client.post(f"/v1/jobs/{job}/cancel")
    assert client.delete(f"/v1/datasets/{dataset}").status_code == 204
    for action in ("retry", "clone"):
        assert status_and_code(client.post(f"/v1/jobs/{job}/{action}")) == (422, "dataset_unknown")
    assert "Clone" in client.post(f"/v1/jobs/{job}/retry").json()["hint"]
    assert status_and_code(client.post(f"/v1/jobs/{job}/resume")) == (409, "job_ended")
    plan = client.post("/v1/jobs?validate_only=true", json=spec).json()
    assert (plan["valid"], plan["problems"][0]["code"]) == (False, "dataset_unknown")
    assert client.get(f"/v1/jobs/{job}").json()["status"] == "cancelled"
    other_dataset = client.post("/v1/datasets", files={"file": ("pets.zip", archive)}).json()["id"]
    worker.check_dataset()
    clone = client.post(f"/v1/jobs/{job}/clone", json={"dataset": {"id": other_dataset}}).json()
    assert (clone["status"], clone["dataset_id"]) == ("queued", other_dataset)
