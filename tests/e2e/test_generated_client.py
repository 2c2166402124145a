"""A client that a machine made of /openapi.json alone submits, follows, and downloads; and what ours loads of the same model."""

import importlib
import os
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest
import torch

from dlkd_client.client import Client
from tests.e2e.conftest import service


@pytest.fixture
def generated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a package of a service's document, and gives its modules."""

    def make(url: str) -> Any:
        (tmp_path / "openapi.json").write_bytes(httpx.get(f"{url}/openapi.json").raise_for_status().content)
        programs = Path(sys.executable).parent
        command = ["openapi-python-client", "generate", "--path", "openapi.json", "--output-path", "made", "--meta", "none"]
        environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
        subprocess.run([programs / command[0], *command[1:]], cwd=tmp_path, env=environment, check=True, capture_output=True)
        monkeypatch.syspath_prepend(tmp_path)
        return lambda name: importlib.import_module(f"made.{name}")

    return make


def submitted(made: Any, client: Any, archive: Path) -> str:
    form = made("models.create_dataset_files_dataset_form").CreateDatasetFilesDatasetForm
    with archive.open("rb") as stream:
        file = made("types").File(payload=stream, file_name=archive.name)
        dataset = made("api.datasets.create_dataset").sync(client=client, body=form(file=file, name="stripes"))
    asked = {
        "name": "by a generated client",
        "student": {"architecture": "resnet8"},
        "dataset": {"id": dataset.id},
        "training": {"epochs": 1},
        "export": ["safetensors", "onnx"],
    }
    request = made("models.job_request").JobRequest.from_dict(asked)
    job = made("api.jobs.create_job").sync(client=client, body=request, idempotency_key="once")
    assert made("api.jobs.create_job").sync(client=client, body=request, idempotency_key="once").id == job.id
    return str(job.id)


def followed(made: Any, client: Any, job_id: str) -> Any:
    while True:
        job = made("api.jobs.get_job").sync(job_id, client=client)
        if job.finished_at is not None:
            return job
        time.sleep(0.2)


def test_a_generated_client_gets_a_student(
    generated: Any, stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with service(tmp_path / "data") as ours:
        made = generated(ours.url)
        key = (tmp_path / "data" / "api_key").read_text().strip()
        with made("client").AuthenticatedClient(base_url=ours.url, token=key) as client:
            job = followed(made, client, submitted(made, client, stripes))
            assert job.status == "succeeded", job.error
            events = made("api.jobs.list_job_events").sync(job.id, client=client)
            assert {"status", "phase"} <= {event.type_ for event in events.items}
            model = made("api.models.get_model").sync(job.model_id, client=client)
            for file in model.files:
                answer = made("api.models.get_model_file").sync_detailed(model.id, file.name, client=client)
                assert sha256(answer.content).hexdigest() == file.sha256
            refused = made("api.jobs.get_job").sync("job_none", client=client)
            assert (type(refused).__name__, refused.code) == ("Problem", "not_found")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        check_loading(ours, job.model_id, np.random.default_rng(0).random((4, 3, 8, 8), np.float32))
        assert len(list((tmp_path / "cache" / "dlkd" / "models").iterdir())) == 2


def check_loading(client: Client, model_id: str, images: npt.NDArray[np.float32]) -> None:
    """The same student as a torch module and by onnxruntime: the same logits."""
    model = client.model(model_id)
    by_onnx = model.load("onnx")
    with torch.inference_mode():
        by_torch = model.load()(torch.from_numpy(images)).numpy()
    assert by_torch.shape == (len(images), len(by_onnx.classes))
    np.testing.assert_allclose(by_onnx(images), by_torch, atol=1e-4)
    with pytest.raises(KeyError, match="not exported as 'onnx_int8', but as"):
        model.load("onnx_int8")
