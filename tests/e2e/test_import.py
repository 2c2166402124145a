"""A student leaves the service that made it, comes to another one as a bundle, and teaches there."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx

from tests.api.tus import uploaded
from tests.service import ready, stopped, up

_SHORT = {"epochs": 2, "batch_size": 16, "learning_rate": 0.1, "flip": False}


@contextmanager
def service(data: Path) -> Iterator[httpx.Client]:
    with up(data) as process:
        running = ready(process)
        headers = {"Authorization": f"Bearer {running['api_key']}"}
        with httpx.Client(base_url=running["url"], headers=headers, timeout=60, trust_env=False) as client:
            yield client
        assert stopped(process)[0] == 0


def settled(client: httpx.Client, path: str, *states: str) -> dict[str, Any]:
    deadline = monotonic() + 240
    while monotonic() < deadline:
        found: dict[str, Any] = client.get(path).json()
        if found["status"] in states:
            return found
        sleep(0.2)
    raise AssertionError(found)


def trained(client: httpx.Client, images: Path, **spec: Any) -> dict[str, Any]:
    """The model of a job on the images."""
    dataset = client.post("/v1/datasets", json={"upload_id": uploaded(client, images.read_bytes(), filename="images.zip")}).json()
    wanted = {"student": {"architecture": "resnet8"}, "dataset": {"id": dataset["id"]}, "training": _SHORT, **spec}
    job = client.post("/v1/jobs", json=wanted).json()
    ended = settled(client, f"/v1/jobs/{job['id']}", "succeeded", "failed")
    assert ended["status"] == "succeeded", ended["error"]
    model: dict[str, Any] = client.get(f"/v1/models/{ended['model_id']}").json()
    return model


def tried(client: httpx.Client, model: dict[str, Any]) -> dict[str, Any]:
    """What a worker found of an imported model's files."""
    deadline = monotonic() + 240
    while monotonic() < deadline:
        trial: dict[str, Any] = client.get(f"/v1/models/{model['id']}").json()["imported"]["trial"]
        if trial["status"] != "waiting":
            return trial
        sleep(0.2)
    raise AssertionError(model)


def files(client: httpx.Client, model: dict[str, Any]) -> dict[str, str]:
    """The sha256 of what is downloaded of each file, by name."""
    return {file["name"]: sha256(client.get(file["url"]).content).hexdigest() for file in model["files"]}


def test_a_student_teaches_at_another_service(stripes: Path, tmp_path: Path) -> None:
    with service(tmp_path / "here") as here:
        made = trained(here, stripes, model_name="stripes", export=["safetensors", "onnx"])
        bundle, before = here.get(f"/v1/models/{made['id']}/bundle").content, files(here, made)
    with service(tmp_path / "there") as there:
        answer = there.post("/v1/models/import", json={"upload_id": uploaded(there, bundle, filename="bundle.zip")})
        assert answer.status_code == 201, answer.text
        taken = answer.json()
        trial = tried(there, taken)
        assert (trial["status"], set(trial["tried"]), trial["error"]) == ("passed", {"student.safetensors", "student.onnx"}, None)
        assert (taken["name"], taken["version"], taken["metrics"]) == ("stripes", 1, made["metrics"])
        assert files(there, taken) == before
        student = trained(there, stripes, teacher={"model_id": "stripes@1"}, method={"name": "kd"}, export=["onnx"])
        assert student["metrics"]["teacher"]["top1"] == made["metrics"]["student"]["top1"]
