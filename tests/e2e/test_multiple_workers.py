"""Tests with several workers that share no files.

They include the loss of a worker and a restart of the broker.
"""

import hashlib
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.test_worker_recovery import attempt_statuses, wait_for_first_checkpoint
from tests.support.backends import make_settings, rabbitmq, s3, valkey
from tests.support.rabbitmq_node import RabbitMQNode
from tests.support.separate_services import run_part, serve_with_client, wait_until

__all__ = ["rabbitmq", "s3", "valkey"]
pytestmark = pytest.mark.timeout(900)

_FAST_SETTINGS = {
    "DLKD_LEASE_SECONDS": "4",
    "DLKD_DISPATCH_SECONDS": "0.5",
    "DLKD_CHECKPOINT_SECONDS": "0",
    "DLKD_RETRY_SECONDS": "0",
}
# Workers poll the database only once an hour, so jobs start only if the broker delivers messages.
_NO_POLLING = {"DLKD_POLL_SECONDS": "3600"}
_TIMEOUT = 250.0  # seconds, long enough for a busy machine


def make_spec(dataset_id: str, epochs: int = 12) -> dict[str, Any]:
    """Return a job spec that trains on the digits for a few seconds."""
    training = {"epochs": epochs, "batch_size": 64, "learning_rate": 0.1, "flip": False}
    return {
        "student": {"architecture": "resnet8"},
        "dataset": {"id": dataset_id},
        "training": training,
        "export": ["safetensors"],
    }


def workers_by_name(http: httpx.Client) -> dict[str, dict[str, Any]]:
    workers = http.get("/v1/workers").raise_for_status().json()["items"]
    return {worker["name"]: worker for worker in workers}


def test_job_of_lost_worker_resumes_elsewhere_from_checkpoint(
    request: pytest.FixtureRequest, digits: Path, tmp_path: Path
) -> None:
    settings = {**make_settings(request, "valkey", "s3"), **_FAST_SETTINGS, **_NO_POLLING}
    with ExitStack() as stack:
        client, http = stack.enter_context(serve_with_client(settings, tmp_path / "api"))
        machines = {}
        for name in ("one", "other"):
            (folder := tmp_path / name).mkdir()
            options = ("--data", str(folder / "data"), "--slots", "1", "--queues", "checks,train")
            machines[name] = stack.enter_context(
                run_part("worker", {**settings, "DLKD_WORKER_NAME": name}, folder, *options)
            )
        wait_until(lambda: set(workers_by_name(http)) == set(machines))
        dataset = client.wait_until_ready(client.upload_dataset(digits))
        submitted = client.submit(make_spec(dataset.id))
        wait_for_first_checkpoint(client, submitted.id)
        first, second = sorted(
            workers_by_name(http).values(), key=lambda worker: not worker["jobs"]
        )
        assert [(job["job_id"], job["attempt"]) for job in first["jobs"]] == [(submitted.id, 1)]
        machines[first["name"]].kill()

        job = client.wait(submitted.id, timeout=_TIMEOUT)
        assert (job.status, attempt_statuses(job)) == ("succeeded", ["lost", "succeeded"])
        lost, last = http.get(f"/v1/jobs/{job.id}").json()["attempts"]
        assert (lost["worker_id"], last["worker_id"]) == (first["id"], second["id"])
        assert 0 < lost["saved_step"] == last["resumed_step"]
        series = http.get(f"/v1/jobs/{job.id}/metrics").json()["series"]["train/loss"]
        assert min(point["epoch"] for point in series if point["attempt"] == 2) > 1
        wait_until(lambda: workers_by_name(http)[first["name"]]["status"] == "gone")

        model = client.model(job.model_id or "")
        weights = client.download(model, "student.safetensors", tmp_path / "student.safetensors")
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        assert digest == model.file("student.safetensors").sha256

        http.post(f"/v1/workers/{second['id']}/drain").raise_for_status()
        assert machines[second["name"]].process.wait(60) == 0
        assert second["name"] not in workers_by_name(http)


def test_broker_restart_loses_no_job(
    request: pytest.FixtureRequest, rabbitmq: RabbitMQNode, digits: Path, tmp_path: Path
) -> None:
    settings = {**make_settings(request, "rabbitmq", "local"), **_FAST_SETTINGS, **_NO_POLLING}
    settings["DLKD_STORE_URL"] = f"file://{tmp_path / 'store'}"
    with serve_with_client(settings, tmp_path / "api") as (client, _):
        (folder := tmp_path / "worker").mkdir()
        with run_part("worker", settings, folder, "--data", str(folder / "data")):
            dataset = client.wait_until_ready(client.upload_dataset(digits))
            during = client.submit(make_spec(dataset.id))
            wait_for_first_checkpoint(client, during.id)
            rabbitmq.stop()
            waiting = client.submit(make_spec(dataset.id, epochs=1))  # its message is lost
            rabbitmq.start()
            for job in (
                client.wait(during.id, timeout=_TIMEOUT),
                client.wait(waiting.id, timeout=_TIMEOUT),
            ):
                assert (job.status, attempt_statuses(job)) == ("succeeded", ["succeeded"])
            # The worker is idle now. Only a message from the broker wakes it.
            after = client.submit(make_spec(dataset.id, epochs=1))
            assert client.wait(after.id, timeout=_TIMEOUT).status == "succeeded"
