"""Tests that a client generated from /openapi.json can run a job and download its model."""

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
from tests.e2e.conftest import run_service


@pytest.fixture
def generate_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that generates a client from a service and imports its modules."""

    def generate(url: str) -> Any:
        (tmp_path / "openapi.json").write_bytes(
            httpx.get(f"{url}/openapi.json").raise_for_status().content
        )
        programs = Path(sys.executable).parent
        command = [
            "openapi-python-client",
            "generate",
            "--path",
            "openapi.json",
            "--output-path",
            "generated_client",
            "--meta",
            "none",
        ]
        environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
        subprocess.run(
            [programs / command[0], *command[1:]],
            cwd=tmp_path,
            env=environment,
            check=True,
            capture_output=True,
        )
        monkeypatch.syspath_prepend(tmp_path)
        return lambda name: importlib.import_module(f"generated_client.{name}")

    return generate


def submit_job(module: Any, client: Any, archive: Path) -> str:
    form = module("models.create_dataset_files_dataset_form").CreateDatasetFilesDatasetForm
    with archive.open("rb") as stream:
        file = module("types").File(payload=stream, file_name=archive.name)
        dataset = module("api.datasets.create_dataset").sync(
            client=client, body=form(file=file, name="stripes")
        )
    spec = {
        "name": "by a generated client",
        "student": {"architecture": "resnet8"},
        "dataset": {"id": dataset.id},
        "training": {"epochs": 1},
        "export": ["safetensors", "onnx"],
    }
    request = module("models.job_request").JobRequest.from_dict(spec)
    create_job = module("api.jobs.create_job").sync
    job = create_job(client=client, body=request, idempotency_key="once")
    repeated = create_job(client=client, body=request, idempotency_key="once")
    assert repeated.id == job.id
    return str(job.id)


def wait_for_job(module: Any, client: Any, job_id: str) -> Any:
    while True:
        job = module("api.jobs.get_job").sync(job_id, client=client)
        if job.finished_at is not None:
            return job
        time.sleep(0.2)


def test_a_generated_client_can_train_and_download_a_student(
    generate_client: Any, stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with run_service(tmp_path / "data") as our_client:
        module = generate_client(our_client.url)
        key = (tmp_path / "data" / "api_key").read_text().strip()
        with module("client").AuthenticatedClient(base_url=our_client.url, token=key) as client:
            job = wait_for_job(module, client, submit_job(module, client, stripes))
            assert job.status == "succeeded", job.error
            events = module("api.jobs.list_job_events").sync(job.id, client=client)
            assert {"status", "phase"} <= {event.type_ for event in events.items}
            model = module("api.models.get_model").sync(job.model_id, client=client)
            for file in model.files:
                response = module("api.models.get_model_file").sync_detailed(
                    model.id, file.name, client=client
                )
                assert sha256(response.content).hexdigest() == file.sha256
            problem = module("api.jobs.get_job").sync("job_none", client=client)
            assert (type(problem).__name__, problem.code) == ("Problem", "not_found")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        check_model_loading(
            our_client, job.model_id, np.random.default_rng(0).random((4, 3, 8, 8), np.float32)
        )
        assert len(list((tmp_path / "cache" / "dlkd" / "models").iterdir())) == 2


def check_model_loading(client: Client, model_id: str, images: npt.NDArray[np.float32]) -> None:
    """Check that the torch module and the ONNX model compute the same logits."""
    model = client.model(model_id)
    onnx_model = model.load("onnx")
    with torch.inference_mode():
        torch_logits = model.load()(torch.from_numpy(images)).numpy()
    assert torch_logits.shape == (len(images), len(onnx_model.classes))
    np.testing.assert_allclose(onnx_model(images), torch_logits, atol=1e-4)
    with pytest.raises(KeyError, match=r"not exported as 'onnx_int8'\. It has: onnx, safetensors"):
        model.load("onnx_int8")
