"""Teachers and data sets deleted over HTTP: gone with their files, or refused with what is in the way."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from registry.settings import Settings
from tests.api.conftest import CHECKPOINT, FakeWorker, files_in


@pytest.fixture
def teacher(client: TestClient, worker: FakeWorker) -> str:
    """The id of a teacher that was checked."""
    created = client.post("/v1/teachers", files={"file": ("big.th", CHECKPOINT)}).json()
    worker.check_teacher()
    return str(created["id"])


def refused(answer: Any) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def test_what_is_deleted_is_gone_with_its_files(client: TestClient, settings: Settings, teacher: str, dataset: str) -> None:
    assert len(files_in(settings)) == 4  # the checkpoint; the archive, its packed form and its samples
    for kind, row_id in (("teachers", teacher), ("datasets", dataset)):
        path = f"/v1/{kind}/{row_id}"
        answer = client.delete(path)
        assert (answer.status_code, answer.content) == (204, b"")
        for again in (client.get(path), client.delete(path)):
            assert refused(again) == (404, "not_found")
        assert client.get(f"/v1/{kind}").json()["items"] == []
    assert refused(client.get(f"/v1/datasets/{dataset}/samples")) == (404, "not_found")
    assert files_in(settings) == []
    assert client.get("/v1/usage").json()["stored_bytes"]["used"] == 0
    actions = [entry["action"] for entry in client.get("/v1/audit").json()["items"]]
    assert actions[:2] == ["dataset.deleted", "teacher.deleted"]


def test_one_whose_check_waits_is_gone_at_once(client: TestClient, settings: Settings) -> None:
    """As when the wrong file was sent and no worker is there."""
    created = client.post("/v1/teachers", files={"file": ("wrong.th", CHECKPOINT)}).json()
    assert client.delete(f"/v1/teachers/{created['id']}").status_code == 204
    assert files_in(settings) == []


def test_what_a_job_needs_stays_until_it_has_ended(
    client: TestClient, worker: FakeWorker, spec: dict[str, Any], teacher: str, dataset: str
) -> None:
    job = client.post("/v1/jobs", json=spec | {"teacher": {"id": teacher}, "method": {"name": "kd"}}).json()["id"]
    paths = {"teacher": f"/v1/teachers/{teacher}", "dataset": f"/v1/datasets/{dataset}"}
    for kind, path in paths.items():
        answer = client.delete(path, params={"force": True})
        assert refused(answer) == (409, f"{kind}_in_use")
        assert job in answer.json()["hint"]
    model = worker.train(worker.claim("train"))
    for kind, path in paths.items():
        answer = client.delete(path)
        assert refused(answer) == (409, f"{kind}_in_lineage")
        assert model in answer.json()["detail"]
        assert "force=true" in answer.json()["hint"]
        assert client.delete(path, params={"force": True}).status_code == 204
    nodes = {node["id"]: node for node in client.get(f"/v1/models/{model}/lineage").json()["nodes"]}
    assert {row_id for row_id, node in nodes.items() if node["deleted"]} == {teacher, dataset}
    assert (nodes[teacher]["name"], nodes[dataset]["name"]) == ("big.th", "pets.zip")
    assert len(nodes[teacher]["facts"]["used_sha256"]) == len(nodes[dataset]["facts"]["sha256"]) == 64
    named = client.get(f"/v1/jobs/{job}").json()
    assert (named["teacher_id"], named["dataset_id"], named["model_id"]) == (teacher, dataset, model)
    assert [found["id"] for found in client.get("/v1/models", params={"dataset": dataset}).json()["items"]] == [model]
    assert client.get(f"/v1/models/{model}/files/student.onnx").content == b"weights of the student"


def test_a_job_without_its_data_set_says_so_and_is_cloned_on_another(
    client: TestClient, worker: FakeWorker, spec: dict[str, Any], dataset: str, archive: bytes
) -> None:
    job = client.post("/v1/jobs", json=spec).json()["id"]
    client.post(f"/v1/jobs/{job}/cancel")
    assert client.delete(f"/v1/datasets/{dataset}").status_code == 204
    for action in ("retry", "clone"):
        assert refused(client.post(f"/v1/jobs/{job}/{action}")) == (422, "dataset_unknown")
    assert "Clone" in client.post(f"/v1/jobs/{job}/retry").json()["hint"]
    assert refused(client.post(f"/v1/jobs/{job}/resume")) == (409, "job_ended")
    plan = client.post("/v1/jobs?validate_only=true", json=spec).json()
    assert (plan["valid"], plan["problems"][0]["code"]) == (False, "dataset_unknown")
    assert client.get(f"/v1/jobs/{job}").json()["status"] == "cancelled"
    other = client.post("/v1/datasets", files={"file": ("pets.zip", archive)}).json()["id"]
    worker.check_dataset()
    cloned = client.post(f"/v1/jobs/{job}/clone", json={"dataset": {"id": other}}).json()
    assert (cloned["status"], cloned["dataset_id"]) == ("queued", other)
