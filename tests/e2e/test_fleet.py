"""Two workers that share a database, a broker and a store, and no file; one is lost. A broker that is lost and comes back."""

import hashlib
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.test_mishaps import in_the_middle, outcomes
from tests.engines import rabbitmq, s3, settings_of, valkey
from tests.fleet import running, served, soon
from tests.rabbitmq import RabbitMQ

__all__ = ["rabbitmq", "s3", "valkey"]
pytestmark = pytest.mark.timeout(900)

_QUICK = {"DLKD_LEASE_SECONDS": "4", "DLKD_DISPATCH_SECONDS": "0.5", "DLKD_CHECKPOINT_SECONDS": "0", "DLKD_RETRY_SECONDS": "0"}
_HINTS_ONLY = {"DLKD_POLL_SECONDS": "3600"}  # what the broker does not carry would wait for an hour


_PATIENCE = 250.0  # of a machine that others use, too


def spec(dataset_id: str, epochs: int = 12) -> dict[str, Any]:
    """Some seconds of training over the digits."""
    training = {"epochs": epochs, "batch_size": 64, "learning_rate": 0.1, "flip": False}
    return {
        "student": {"architecture": "resnet8"},
        "dataset": {"id": dataset_id},
        "training": training,
        "export": ["safetensors"],
    }


def fleet(http: httpx.Client) -> dict[str, dict[str, Any]]:
    """The workers by name."""
    return {worker["name"]: worker for worker in http.get("/v1/workers").raise_for_status().json()["items"]}


def test_a_job_of_a_machine_that_is_lost_goes_on_on_another_from_its_checkpoint(
    request: pytest.FixtureRequest, digits: Path, tmp_path: Path
) -> None:
    settings = {**settings_of(request, "valkey", "s3"), **_QUICK, **_HINTS_ONLY}
    with ExitStack() as stack:
        client, http = stack.enter_context(served(settings, tmp_path / "api"))
        machines = {}
        for name in ("one", "other"):
            (folder := tmp_path / name).mkdir()
            options = ("--data", str(folder / "data"), "--slots", "1", "--queues", "checks,train")
            machines[name] = stack.enter_context(running("worker", {**settings, "DLKD_WORKER_NAME": name}, folder, *options))
        soon(lambda: set(fleet(http)) == set(machines))
        dataset = client.ready(client.upload_dataset(digits))
        submitted = client.submit(spec(dataset.id))
        in_the_middle(client, submitted.id)
        first, second = sorted(fleet(http).values(), key=lambda worker: not worker["jobs"])
        assert [(job["job_id"], job["attempt"]) for job in first["jobs"]] == [(submitted.id, 1)]
        machines[first["name"]].kill()

        job = client.wait(submitted.id, timeout=_PATIENCE)
        assert (job.status, outcomes(job)) == ("succeeded", ["lost", "succeeded"])
        lost, last = http.get(f"/v1/jobs/{job.id}").json()["attempts"]
        assert (lost["worker_id"], last["worker_id"]) == (first["id"], second["id"])
        assert 0 < lost["saved_step"] == last["resumed_step"]
        series = http.get(f"/v1/jobs/{job.id}/metrics").json()["series"]["train/loss"]
        assert min(point["epoch"] for point in series if point["attempt"] == 2) > 1
        soon(lambda: fleet(http)[first["name"]]["status"] == "gone")

        model = client.model(job.model_id or "")
        weights = client.download(model, "student.safetensors", tmp_path / "here")
        assert hashlib.sha256(weights.read_bytes()).hexdigest() == model.file("student.safetensors").sha256

        http.post(f"/v1/workers/{second['id']}/drain").raise_for_status()
        assert machines[second["name"]].process.wait(60) == 0
        assert second["name"] not in fleet(http)


def test_a_broker_that_is_lost_and_comes_back_costs_no_job(
    request: pytest.FixtureRequest, rabbitmq: RabbitMQ, digits: Path, tmp_path: Path
) -> None:
    settings = {**settings_of(request, "rabbitmq", "local"), **_QUICK, **_HINTS_ONLY}
    settings["DLKD_STORE_URL"] = f"file://{tmp_path / 'store'}"
    with served(settings, tmp_path / "api") as (client, _):
        (folder := tmp_path / "worker").mkdir()
        with running("worker", settings, folder, "--data", str(folder / "data")):
            dataset = client.ready(client.upload_dataset(digits))
            during = client.submit(spec(dataset.id))
            in_the_middle(client, during.id)
            rabbitmq.stop()
            waiting = client.submit(spec(dataset.id, epochs=1))  # whose hint nobody takes
            rabbitmq.start()
            for job in (client.wait(during.id, timeout=_PATIENCE), client.wait(waiting.id, timeout=_PATIENCE)):
                assert (job.status, outcomes(job)) == ("succeeded", ["succeeded"])
            after = client.submit(spec(dataset.id, epochs=1))  # an idle worker that only a hint wakes
            assert client.wait(after.id, timeout=_PATIENCE).status == "succeeded"
