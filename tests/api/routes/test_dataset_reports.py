"""The report about a dataset's health over HTTP."""

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from dlkd_core.data.inspection import inspect_dataset
from tests.api.fake_worker import FakeWorker
from tests.api.sample_reports import DATASET_REPORT

LABEL_ERRORS: dict[str, Any] = {
    "images": 4,
    "count": 1,
    "examples": [
        {
            "index": 2,
            "name": "val/dog/0.png",
            "label": 1,
            "confidence": 0.01,
            "suggested_label": 0,
            "suggested_confidence": 0.98,
        }
    ],
}


def upload(client: TestClient, archive: bytes) -> str:
    response = client.post("/v1/datasets", files={"file": ("pets.zip", archive)})
    return str(response.json()["id"])


def submit(client: TestClient, dataset: str) -> str:
    spec = {
        "student": {"architecture": "resnet8"},
        "dataset": {"id": dataset},
        "method": {"name": "plain"},
    }
    response = client.post("/v1/jobs", json=spec)
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


def test_a_checked_dataset_has_a_report_with_example_images(
    client: TestClient, dataset: str
) -> None:
    path = f"/v1/datasets/{dataset}/report"
    assert client.get(path).json() == {**DATASET_REPORT, "label_errors": None}
    image = client.get(f"{path}/examples")
    assert (image.headers["Content-Type"], image.content) == ("image/webp", b"examples.webp")
    headers = {"If-None-Match": image.headers["ETag"]}
    assert client.get(f"{path}/examples", headers=headers).status_code == 304


@pytest.mark.parametrize("path", ["report", "report/examples"])
def test_a_dataset_without_a_report_says_how_to_get_one(
    client: TestClient, worker: FakeWorker, archive: bytes, path: str
) -> None:
    dataset = upload(client, archive)
    worker.check_dataset(health_report=None)
    response = client.get(f"/v1/datasets/{dataset}/{path}")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert response.json()["hint"]


def test_the_latest_label_errors_on_the_dataset_are_part_of_the_report(
    client: TestClient, worker: FakeWorker, dataset: str
) -> None:
    _, newer = (submit(client, dataset) for _ in range(2))
    worker.finish_training(worker.claim("train"), label_errors={**LABEL_ERRORS, "count": 7})
    model_id = worker.finish_training(worker.claim("train"), b"2", label_errors=LABEL_ERRORS)
    submit(client, dataset)
    worker.finish_training(worker.claim("train"), b"3")  # a run without a teacher
    report = client.get(f"/v1/datasets/{dataset}/report").json()
    assert report["label_errors"] == {**LABEL_ERRORS, "model_id": model_id, "job_id": newer}


def test_the_report_of_a_real_check_has_the_documented_form(
    client: TestClient, worker: FakeWorker, archive: bytes, stripes: Path, tmp_path: Path
) -> None:
    dataset = upload(client, archive)
    report = inspect_dataset(stripes, tmp_path)["report"]
    worker.check_dataset(report)
    served = client.get(f"/v1/datasets/{dataset}/report").json()
    assert served == {**report, "label_errors": None}
