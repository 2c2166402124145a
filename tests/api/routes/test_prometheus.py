"""The Prometheus endpoint and the settings that restrict access to it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from api.app import create_app
from registry.attempts import maintenance
from registry.db.database import Database
from registry.db.job_tables import Job
from registry.jobs.queue_names import QueueName
from registry.settings import Settings
from registry.storage.object_store import Store
from registry.testing import InMemoryJobQueue
from registry.workers import membership
from tests.api.fake_worker import FakeWorker

TOKEN = "0123456789abcdef"
Serve = Callable[..., Any]


@pytest.fixture
def serve(settings: Settings, database: Database, queue: InMemoryJobQueue, store: Store) -> Serve:
    """Return a function that starts the application with changed settings and yields a client."""

    @contextmanager
    def serve_app(host: str = "127.0.0.1", **changes: Any) -> Iterator[TestClient]:
        app = create_app(Settings(**{**settings.model_dump(), **changes}), database, queue, store)
        with TestClient(app, base_url="http://127.0.0.1:8000", client=(host, 1)) as client:
            yield client

    return serve_app


def scrape(client: TestClient, **headers: str) -> dict[str, float]:
    """Fetch the metrics and return the samples' values, keyed by name and labels."""
    response = client.get("/metrics", headers=headers)
    assert response.status_code == 200, response.text
    families = text_string_to_metric_families(response.text)
    return {
        sample.name
        + "".join(f" {name}={value}" for name, value in sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_requests_are_counted_and_timed_by_route_template(serve: Serve, key: str) -> None:
    with serve() as client:
        for path in ("/v1/jobs/job_1", "/v1/jobs/job_2", "/v1/nothing"):
            client.get(path, headers={"Authorization": f"Bearer {key}"})
        client.get("/v1/jobs/job_1")
        client.request("BREW", "/livez")
        samples = scrape(client)
    get_requests = "dlkd_http_requests_total method=GET route"
    assert samples[f"{get_requests}=/v1/jobs/{{job_id}} status=404"] == 2
    assert (
        samples["dlkd_http_request_duration_seconds_count method=GET route=/v1/jobs/{job_id}"] == 2
    )
    assert samples[f"{get_requests}=(none) status=404"] == 1
    assert samples[f"{get_requests}=(none) status=401"] == 1  # rejected before routing
    assert samples["dlkd_http_requests_total method=OTHER route=/livez status=405"] == 1
    assert not any("job_1" in name for name in samples)


def test_an_unexpected_error_is_counted_as_500(app: FastAPI) -> None:
    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("broken")

    with TestClient(
        app, base_url="http://127.0.0.1", client=("127.0.0.1", 1), raise_server_exceptions=False
    ) as client:
        assert client.get("/broken").status_code == 500
        assert scrape(client)["dlkd_http_requests_total method=GET route=/broken status=500"] == 1


def test_jobs_workers_and_files_are_counted_in_the_database(
    serve: Serve, client: TestClient, worker: FakeWorker, database: Database, spec: dict[str, Any]
) -> None:
    for _ in range(3):
        assert client.post("/v1/jobs", json=spec).status_code == 201
    with database.write() as session:
        facts = {
            "name": "w",
            "hostname": "h",
            "pid": 1,
            "slots": {"train": 2, QueueName.CHECKS: 1},
            "devices": [],
        }
        membership.register(session, "worker_test", facts)
    worker.finish_training(worker.claim("train"))
    expired_claim = worker.claim("train")
    with database.write() as session:
        job = session.get_one(Job, expired_claim.job_id)
        job.lease_until = job.created_at - timedelta(days=1)
    with serve() as scraper:
        samples = scrape(scraper)
    assert samples["dlkd_database_up"] == 1
    counts = [
        samples[f"dlkd_jobs queue=train status={status}"]
        for status in ("queued", "starting", "succeeded", "failed")
    ]
    assert counts == [1, 1, 1, 0]
    assert 0 < samples["dlkd_queue_oldest_job_age_seconds queue=train"] < 60
    assert samples["dlkd_queue_oldest_job_age_seconds queue=train-cuda"] == 0
    assert (samples["dlkd_expired_leases"], samples["dlkd_dispatcher_has_leader"]) == (1, 0)
    assert (
        samples["dlkd_workers"],
        samples["dlkd_slots work=train"],
        samples["dlkd_slots_free work=train"],
    ) == (1, 2, 1)
    assert samples["dlkd_slots_free work=checks"] == 1
    assert samples["dlkd_attempts outcome=succeeded"] == 2  # the job and the check of its dataset
    assert samples["dlkd_attempts outcome=running"] == 1
    assert samples["dlkd_job_duration_seconds_count kind=distill status=succeeded"] == 1
    assert 0 <= samples["dlkd_job_duration_seconds_sum kind=distill status=succeeded"] < 60
    assert samples["dlkd_job_duration_seconds_bucket kind=distill le=60.0 status=succeeded"] == 1
    assert (samples["dlkd_artifacts"] > 0, samples["dlkd_artifact_bytes"] > 0) == (True, True)
    with database.write() as session:
        maintenance.expire_leases(session, retry_after=timedelta(hours=1))
    with serve() as scraper:
        samples = scrape(scraper)
    assert (samples["dlkd_expired_leases"], samples["dlkd_attempts outcome=lost"]) == (0, 1)
    assert samples["dlkd_jobs queue=train status=queued"] == 2


def test_a_job_that_is_retried_later_does_not_count_as_waiting(
    serve: Serve, client: TestClient, database: Database, spec: dict[str, Any]
) -> None:
    job_id = client.post("/v1/jobs", json=spec).json()["id"]
    with database.write() as session:
        job = session.get_one(Job, job_id)
        job.not_before = job.created_at + timedelta(hours=1)
    with serve() as scraper:
        assert scrape(scraper)["dlkd_queue_oldest_job_age_seconds queue=train"] == 0


def test_the_metrics_of_the_process_are_available_without_the_database(
    serve: Serve, database: Database
) -> None:
    with serve() as client:
        with database.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE jobs RENAME TO other_jobs")
        samples = scrape(client)
    assert samples["dlkd_database_up"] == 0
    assert samples["process_resident_memory_bytes"] > 0
    assert "dlkd_workers" not in samples


def test_metrics_are_only_available_locally_by_default(serve: Serve, key: str) -> None:
    with serve() as local_client:
        assert local_client.get("/metrics").status_code == 200
        for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"):
            assert local_client.get("/metrics", headers={header: "127.0.0.1"}).status_code == 403
        assert local_client.get("/metrics", headers={"Host": "evil.example"}).status_code == 400
    with serve("192.0.2.7") as remote_client:
        response = remote_client.get("/metrics", headers={"Authorization": f"Bearer {key}"})
        assert (response.status_code, response.json()["code"]) == (403, "forbidden")


def test_metrics_setting_key_allows_any_operator_key_and_host_name(serve: Serve, key: str) -> None:
    with serve("192.0.2.7", metrics="key") as client:
        client.base_url = "http://10.1.2.3:8000"
        assert client.get("/metrics").json()["code"] == "key_invalid"
        assert client.get("/metrics", headers={"Authorization": f"Bearer {key}"}).status_code == 200
        assert client.get("/livez").status_code == 400


def test_metrics_setting_token_allows_only_the_token(serve: Serve, key: str) -> None:
    with serve("192.0.2.7", metrics="token", metrics_token=TOKEN) as client:
        headers = ("", f"Bearer {key}", f"Basic {TOKEN}", "Bearer \xff")
        responses = [
            client.get("/metrics", headers={"Authorization": header.encode("latin-1")})
            for header in headers
        ]  # type: ignore[dict-item]
        assert [response.status_code for response in responses] == [401] * 4
        assert (
            "dlkd_jobs" in client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text
        )


def test_metrics_setting_off_hides_the_path(serve: Serve) -> None:
    with serve(metrics="off") as client:
        assert (client.get("/metrics").status_code, client.get("/metrics").json()["code"]) == (
            404,
            "no_such_path",
        )
