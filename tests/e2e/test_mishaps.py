"""A worker is killed, or told to stop, in the middle of a job: the job goes on and ends as if nothing had been."""

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from dlkd_client.answers import Job, Model
from dlkd_client.client import Client
from tests.service import children, ready, stopped, up

pytestmark = pytest.mark.timeout(1500)
_PATIENCE = 600  # seconds: where others work on the same cores, half a minute of training takes many
_QUICK = {"DLKD_LEASE_SECONDS": "4", "DLKD_DISPATCH_SECONDS": "0.5", "DLKD_CHECKPOINT_SECONDS": "0", "DLKD_RETRY_SECONDS": "0"}


def long_job(dataset_id: str) -> dict[str, Any]:
    """Half a minute of training, or less, over the digits."""
    return {
        "student": {"architecture": "resnet20"},
        "dataset": {"id": dataset_id},
        "training": {"epochs": 40, "batch_size": 32, "learning_rate": 0.1, "flip": False},
        "export": ["safetensors"],
    }


def in_the_middle(client: Client, job_id: str) -> None:
    """Returns once the job has left its first checkpoint: some thirty epochs before its end."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if any(event.type == "checkpoint" for event in client.events(job_id)):
            job = client.job(job_id)
            assert (job.progress.fraction or 0) < 0.5, job
            return
        time.sleep(0.1)
    raise AssertionError("the job did not come so far")


def outcomes(job: Job) -> list[str]:
    return [attempt["status"] for attempt in job.attempts]


def weights(client: Client, job: Job) -> str:
    """The digest of the student's weights."""
    return client.model(job.model_id or "").file("student.safetensors").sha256


def models_of(client: Client, job: Job) -> list[Model]:
    return [model for model in client.models() if model.job_id == job.id]


def test_the_job_of_a_killed_worker_ends_once_with_the_weights_of_an_undisturbed_run(digits: Path, tmp_path: Path) -> None:
    with up(tmp_path / "data", **_QUICK) as process:
        running = ready(process)
        with Client(running["url"], running["api_key"]) as client:
            dataset = client.ready(client.upload_dataset(digits))
            disturbed = client.submit(long_job(dataset.id))
            in_the_middle(client, disturbed.id)
            children(process)["worker"].kill()
            job = client.wait(disturbed.id, timeout=_PATIENCE)
            assert (job.status, outcomes(job)) == ("succeeded", ["lost", "succeeded"])
            assert len(models_of(client, job)) == 1
            undisturbed = client.wait(client.submit(long_job(dataset.id)).id, timeout=_PATIENCE)
            assert outcomes(undisturbed) == ["succeeded"]
            assert weights(client, job) == weights(client, undisturbed)
        assert stopped(process)[0] == 0


def test_a_service_that_is_told_to_stop_saves_its_job_and_goes_on_at_the_next_start(digits: Path, tmp_path: Path) -> None:
    with up(tmp_path / "data", **_QUICK) as process:
        running = ready(process)
        with Client(running["url"], running["api_key"]) as client:
            dataset = client.ready(client.upload_dataset(digits))
            submitted = client.submit(long_job(dataset.id))
            in_the_middle(client, submitted.id)
        assert stopped(process, signal.SIGINT)[0] == 0
    with up(tmp_path / "data", **_QUICK) as process:
        running = ready(process)
        with Client(running["url"], running["api_key"]) as client:
            job = client.wait(submitted.id, timeout=_PATIENCE)
            assert (job.status, outcomes(job)) == ("succeeded", ["returned", "succeeded"])
            notices = [event.data["message"] for event in client.events(job.id) if event.type == "notice"]
            assert any("goes on after step" in notice for notice in notices)
        assert stopped(process)[0] == 0
