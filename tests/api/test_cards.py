"""The card of a model, for people and for programs."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from registry.db import Database
from registry.model_tables import Model
from tests.api.conftest import FakeWorker

STUDENT = {"top1": 0.5, "top5": 1.0, "ece": 0.01, "nll": 0.7, "parameters": 78_042, "macs": 1_000_000, "latency_ms": 1.5}
REPORT = {
    "architecture": "resnet8",
    "options": {},
    "parameters": 78_042,
    "classifier": "trained",
    "classes": ["cat", "dog"],
    "image": {"channels": 3, "height": 32, "width": 32, "resize": "crop"},
    "normalization": {"mean": [0.5] * 3, "std": [0.25] * 3},
    "metrics": {"teacher": None, "student": {**STUDENT, "throughput": 900.0, "images": 4}},
    "lineage": {"run": "0123", "seed": 0, "teacher_sha256": None},
}


@pytest.fixture
def model(client: TestClient, worker: FakeWorker, database: Database, spec: dict[str, Any]) -> str:
    """A model with the report that the core writes."""
    client.post("/v1/jobs", json=spec | {"model_name": "pets"})
    model_id = worker.train(worker.claim("train"))
    with database.write() as session:
        session.get_one(Model, model_id).report = REPORT
    return model_id


def test_a_card_is_data_for_programs(client: TestClient, model: str) -> None:
    answer = client.get(f"/v1/models/{model}/card")
    found = answer.json()
    assert (found["id"], found["name"], found["version"]) == (model, "pets", 1)
    assert (found["config"]["image"]["height"], found["lineage"]["run"]) == (32, "0123")
    assert [file["name"] for file in found["files"]] == ["student.onnx"]


def test_a_card_is_markdown_for_people(client: TestClient, model: str) -> None:
    answer = client.get(f"/v1/models/{model}/card", headers={"Accept": "text/markdown"})
    assert answer.headers["Content-Type"].startswith("text/markdown")
    assert answer.text.startswith("---\n")
    for words in ("# pets 1", "| top-1 | 50.00% |", "student.onnx", "- run: `0123`"):
        assert words in answer.text
