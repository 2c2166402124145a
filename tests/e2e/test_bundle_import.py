"""Tests that a student can be exported as a bundle, imported elsewhere and used as a teacher."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx

from tests.api.tus_client import upload_file
from tests.support.local_service import read_ready_line, run_local_service, stop

_SHORT_TRAINING = {"epochs": 2, "batch_size": 16, "learning_rate": 0.1, "flip": False}


@contextmanager
def run_service_with_http_client(data: Path) -> Iterator[httpx.Client]:
    with run_local_service(data) as process:
        address = read_ready_line(process)
        headers = {"Authorization": f"Bearer {address['api_key']}"}
        with httpx.Client(
            base_url=address["url"], headers=headers, timeout=60, trust_env=False
        ) as client:
            yield client
        assert stop(process)[0] == 0


def wait_for_status(client: httpx.Client, path: str, *statuses: str) -> dict[str, Any]:
    deadline = monotonic() + 240
    while monotonic() < deadline:
        resource: dict[str, Any] = client.get(path).json()
        if resource["status"] in statuses:
            return resource
        sleep(0.2)
    raise AssertionError(resource)


def train_model(client: httpx.Client, images: Path, **spec: Any) -> dict[str, Any]:
    """Upload a dataset, train a student on it, and return the resulting model."""
    upload_id = upload_file(client, images.read_bytes(), filename="images.zip")
    dataset = client.post("/v1/datasets", json={"upload_id": upload_id}).json()
    body = {
        "student": {"architecture": "resnet8"},
        "dataset": {"id": dataset["id"]},
        "training": _SHORT_TRAINING,
        **spec,
    }
    job = client.post("/v1/jobs", json=body).json()
    finished = wait_for_status(client, f"/v1/jobs/{job['id']}", "succeeded", "failed")
    assert finished["status"] == "succeeded", finished["error"]
    model: dict[str, Any] = client.get(f"/v1/models/{finished['model_id']}").json()
    return model


def wait_for_import_check(client: httpx.Client, model: dict[str, Any]) -> dict[str, Any]:
    """Wait until a worker has checked an imported model, and return the result of the check."""
    deadline = monotonic() + 240
    while monotonic() < deadline:
        check: dict[str, Any] = client.get(f"/v1/models/{model['id']}").json()["imported"]["trial"]
        if check["status"] != "waiting":
            return check
        sleep(0.2)
    raise AssertionError(model)


def file_digests(client: httpx.Client, model: dict[str, Any]) -> dict[str, str]:
    """Download the files of a model and return the SHA-256 digests by file name."""
    return {
        file["name"]: sha256(client.get(file["url"]).content).hexdigest() for file in model["files"]
    }


def test_imported_student_can_be_a_teacher_on_another_service(
    stripes: Path, tmp_path: Path
) -> None:
    with run_service_with_http_client(tmp_path / "source") as source:
        model = train_model(source, stripes, model_name="stripes", export=["safetensors", "onnx"])
        bundle = source.get(f"/v1/models/{model['id']}/bundle").content
        digests = file_digests(source, model)
    with run_service_with_http_client(tmp_path / "target") as target:
        upload_id = upload_file(target, bundle, filename="bundle.zip")
        response = target.post("/v1/models/import", json={"upload_id": upload_id})
        assert response.status_code == 201, response.text
        imported = response.json()
        check = wait_for_import_check(target, imported)
        assert (check["status"], check["error"]) == ("passed", None)
        assert set(check["tried"]) == {"student.safetensors", "student.onnx"}
        assert (imported["name"], imported["version"]) == ("stripes", 1)
        assert imported["metrics"] == model["metrics"]
        assert file_digests(target, imported) == digests
        student = train_model(
            target,
            stripes,
            teacher={"model_id": "stripes@1"},
            method={"name": "kd"},
            export=["onnx"],
        )
        assert student["metrics"]["teacher"]["top1"] == model["metrics"]["student"]["top1"]
