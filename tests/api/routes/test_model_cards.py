"""Model cards, as JSON and as Markdown."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from registry.db.database import Database
from registry.db.model_tables import Model
from tests.api.bundle_builder import REPORT
from tests.api.fake_worker import FakeWorker

STUDENT_METRICS = {
    "top1": 0.5,
    "top5": 1.0,
    "ece": 0.01,
    "nll": 0.7,
    "parameters": 78_042,
    "macs": 1_000_000,
    "latency_ms": 1.5,
    "throughput": 900.0,
    "images": 4,
}
CARD_REPORT = {
    **REPORT,
    "classifier": "trained",
    "metrics": {"teacher": None, "student": STUDENT_METRICS},
    "lineage": {"run": "0123", "seed": 0, "teacher_sha256": None},
}


@pytest.fixture
def model(client: TestClient, worker: FakeWorker, database: Database, spec: dict[str, Any]) -> str:
    """Create a model with a complete report and return its id."""
    client.post("/v1/jobs", json=spec | {"model_name": "pets"})
    model_id = worker.finish_training(worker.claim("train"))
    with database.write() as session:
        session.get_one(Model, model_id).report = CARD_REPORT
    return model_id


def test_a_card_is_json_by_default(client: TestClient, model: str) -> None:
    response = client.get(f"/v1/models/{model}/card")
    card = response.json()
    assert (card["id"], card["name"], card["version"]) == (model, "pets", 1)
    assert (card["config"]["image"]["height"], card["lineage"]["run"]) == (32, "0123")
    assert [file["name"] for file in card["files"]] == ["student.onnx"]


def test_a_card_is_markdown_on_request(client: TestClient, model: str) -> None:
    response = client.get(f"/v1/models/{model}/card", headers={"Accept": "text/markdown"})
    assert response.headers["Content-Type"].startswith("text/markdown")
    assert response.text.startswith("---\n")
    for text in ("# pets 1", "| top-1 | 50.00% |", "student.onnx", "- run: `0123`"):
        assert text in response.text


BASELINE = {
    "top1": 0.377,
    "images": 1000,
    "gain": 0.123,
    "gain_interval": 0.008,
    "steps": 10,
    "seconds": 1.5,
}


def test_gain_and_warnings_of_a_run_reach_the_model_and_its_card(
    client: TestClient, model: str, database: Database
) -> None:
    before = client.get(f"/v1/models/{model}").json()
    assert before["warnings"] == []
    assert (
        "labels alone"
        not in client.get(f"/v1/models/{model}/card", headers={"Accept": "text/markdown"}).text
    )
    metrics = {**CARD_REPORT["metrics"], "baseline": BASELINE}
    with database.write() as session:
        row = session.get_one(Model, model)
        row.metrics = metrics
        row.report = {**CARD_REPORT, "metrics": metrics, "warnings": ["The teacher is poor."]}
    for path in (f"/v1/models/{model}", f"/v1/models/{model}/card"):
        body = client.get(path).json()
        assert body["metrics"]["baseline"] == BASELINE
        assert body["warnings"] == ["The teacher is poor."]
    card = client.get(f"/v1/models/{model}/card", headers={"Accept": "text/markdown"}).text
    assert "+12.3 ± 0.8 points over the same network trained on labels alone" in card
    assert "**Warning:** The teacher is poor." in card
