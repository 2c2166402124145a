"""Tests that a job whose worker is killed or stopped continues and yields the same weights."""

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from dlkd_client.client import Client
from dlkd_client.responses import Job, Model
from tests.support.local_service import find_children, read_ready_line, run_local_service, stop

pytestmark = pytest.mark.timeout(1500)
_TIMEOUT = 600  # seconds, because a busy machine trains more slowly
_FAST_SETTINGS = {
    "DLKD_LEASE_SECONDS": "4",
    "DLKD_DISPATCH_SECONDS": "0.5",
    "DLKD_CHECKPOINT_SECONDS": "0",
    "DLKD_RETRY_SECONDS": "0",
}


def long_job_spec(dataset_id: str) -> dict[str, Any]:
    """Return a job spec that trains on the digits for about half a minute."""
    return {
        "student": {"architecture": "resnet20"},
        "dataset": {"id": dataset_id},
        "training": {"epochs": 40, "batch_size": 32, "learning_rate": 0.1, "flip": False},
        "export": ["safetensors"],
    }


def wait_for_first_checkpoint(client: Client, job_id: str) -> None:
    """Wait for the first checkpoint, and assert that less than half of the job is done."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if any(event.type == "checkpoint" for event in client.events(job_id)):
            job = client.job(job_id)
            assert (job.progress.fraction or 0) < 0.5, job
            return
        time.sleep(0.1)
    raise AssertionError("the job saved no checkpoint in time")


def attempt_statuses(job: Job) -> list[str]:
    return [attempt["status"] for attempt in job.attempts]


def weights_digest(client: Client, job: Job) -> str:
    return client.model(job.model_id or "").file("student.safetensors").sha256


def list_models(client: Client, job: Job) -> list[Model]:
    return [model for model in client.models() if model.job_id == job.id]


def test_job_of_killed_worker_finishes_once_with_identical_weights(
    digits: Path, tmp_path: Path
) -> None:
    with run_local_service(tmp_path / "data", **_FAST_SETTINGS) as process:
        address = read_ready_line(process)
        with Client(address["url"], address["api_key"]) as client:
            dataset = client.wait_until_ready(client.upload_dataset(digits))
            interrupted = client.submit(long_job_spec(dataset.id))
            wait_for_first_checkpoint(client, interrupted.id)
            find_children(process)["worker"].kill()
            job = client.wait(interrupted.id, timeout=_TIMEOUT)
            assert (job.status, attempt_statuses(job)) == ("succeeded", ["lost", "succeeded"])
            assert len(list_models(client, job)) == 1
            uninterrupted = client.wait(
                client.submit(long_job_spec(dataset.id)).id, timeout=_TIMEOUT
            )
            assert attempt_statuses(uninterrupted) == ["succeeded"]
            assert weights_digest(client, job) == weights_digest(client, uninterrupted)
        assert stop(process)[0] == 0


def test_stopped_service_checkpoints_and_resumes_on_restart(digits: Path, tmp_path: Path) -> None:
    with run_local_service(tmp_path / "data", **_FAST_SETTINGS) as process:
        address = read_ready_line(process)
        with Client(address["url"], address["api_key"]) as client:
            dataset = client.wait_until_ready(client.upload_dataset(digits))
            submitted = client.submit(long_job_spec(dataset.id))
            wait_for_first_checkpoint(client, submitted.id)
        assert stop(process, signal.SIGINT)[0] == 0
    with run_local_service(tmp_path / "data", **_FAST_SETTINGS) as process:
        address = read_ready_line(process)
        with Client(address["url"], address["api_key"]) as client:
            job = client.wait(submitted.id, timeout=_TIMEOUT)
            assert (job.status, attempt_statuses(job)) == ("succeeded", ["returned", "succeeded"])
            notices = [
                event.data["message"] for event in client.events(job.id) if event.type == "notice"
            ]
            assert any("Resuming training after step" in notice for notice in notices)
        assert stop(process)[0] == 0
