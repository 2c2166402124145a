"""What Prometheus reads."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from api.app import create_app
from registry import sweeps, workers
from registry.db import Database
from registry.settings import Settings
from registry.store import Store
from registry.tables import Job
from registry.testing import MemoryQueue
from registry.uploads import CHECKS
from tests.api.conftest import FakeWorker

TOKEN = "0123456789abcdef"
Serve = Callable[..., Any]


@pytest.fixture
def serve(settings: Settings, database: Database, queue: MemoryQueue, store: Store) -> Serve:
    """The application with these settings, called from that address."""

    @contextmanager
    def served(host: str = "127.0.0.1", **changed: Any) -> Iterator[TestClient]:
        app = create_app(Settings(**{**settings.model_dump(), **changed}), database, queue, store)
        with TestClient(app, base_url="http://127.0.0.1:8000", client=(host, 1)) as client:
            yield client

    return served


def numbers(client: TestClient, **headers: str) -> dict[str, float]:
    """Every sample by its name and labels, as they are written."""
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    families = text_string_to_metric_families(answer.text)
    return {
        sample.name + "".join(f" {name}={value}" for name, value in sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_requests_are_counted_and_timed_by_the_template_of_their_route(serve: Serve, key: str) -> None:
    with serve() as client:
        for path in ("/v1/jobs/job_1", "/v1/jobs/job_2", "/v1/nothing"):
            client.get(path, headers={"Authorization": f"Bearer {key}"})
        client.get("/v1/jobs/job_1")
        client.request("BREW", "/livez")
        found = numbers(client)
    counted = "dlkd_http_requests_total method=GET route"
    assert found[f"{counted}=/v1/jobs/{{job_id}} status=404"] == 2
    assert found["dlkd_http_request_seconds_count method=GET route=/v1/jobs/{job_id}"] == 2
    assert found[f"{counted}=(none) status=404"] == 1
    assert found[f"{counted}=(none) status=401"] == 1  # refused before a route was looked for
    assert found["dlkd_http_requests_total method=OTHER route=/livez status=405"] == 1
    assert not any("job_1" in name for name in found)


def test_a_request_that_breaks_the_server_is_counted_as_500(app: FastAPI) -> None:
    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("broken")

    with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 1), raise_server_exceptions=False) as client:
        assert client.get("/broken").status_code == 500
        assert numbers(client)["dlkd_http_requests_total method=GET route=/broken status=500"] == 1


def test_jobs_workers_and_files_are_counted_in_the_rows(
    serve: Serve, client: TestClient, worker: FakeWorker, database: Database, spec: dict[str, Any]
) -> None:
    for _ in range(3):
        assert client.post("/v1/jobs", json=spec).status_code == 201
    with database.write() as session:
        facts = {"name": "w", "hostname": "h", "pid": 1, "slots": {"train": 2, CHECKS: 1}, "devices": []}
        workers.announce(session, "worker_test", facts)
    worker.train(worker.claim("train"))
    lost = worker.claim("train")
    with database.write() as session:
        job = session.get_one(Job, lost.job_id)
        job.lease_until = job.created_at - timedelta(days=1)
    with serve() as scraper:
        found = numbers(scraper)
    assert found["dlkd_database_up"] == 1
    counts = [found[f"dlkd_jobs queue=train status={status}"] for status in ("queued", "starting", "succeeded", "failed")]
    assert counts == [1, 1, 1, 0]
    assert 0 < found["dlkd_queue_oldest_seconds queue=train"] < 60
    assert found["dlkd_queue_oldest_seconds queue=train-cuda"] == 0
    assert (found["dlkd_leases_overdue"], found["dlkd_dispatcher_led"]) == (1, 0)
    assert (found["dlkd_workers"], found["dlkd_slots work=train"], found["dlkd_slots_free work=train"]) == (1, 2, 1)
    assert found["dlkd_slots_free work=checks"] == 1
    assert found["dlkd_attempts outcome=succeeded"] == 2  # the check of the data set is one
    assert found["dlkd_attempts outcome=running"] == 1
    assert found["dlkd_job_seconds_count kind=distill status=succeeded"] == 1
    assert 0 <= found["dlkd_job_seconds_sum kind=distill status=succeeded"] < 60
    assert found["dlkd_job_seconds_bucket kind=distill le=60.0 status=succeeded"] == 1
    assert (found["dlkd_artifacts"] > 0, found["dlkd_artifact_bytes"] > 0) == (True, True)
    with database.write() as session:
        sweeps.expire(session, retry_after=timedelta(hours=1))
    with serve() as scraper:
        found = numbers(scraper)
    assert (found["dlkd_leases_overdue"], found["dlkd_attempts outcome=lost"]) == (0, 1)
    assert found["dlkd_jobs queue=train status=queued"] == 2


def test_a_job_that_is_to_be_tried_later_does_not_wait_yet(
    serve: Serve, client: TestClient, database: Database, spec: dict[str, Any]
) -> None:
    job_id = client.post("/v1/jobs", json=spec).json()["id"]
    with database.write() as session:
        job = session.get_one(Job, job_id)
        job.not_before = job.created_at + timedelta(hours=1)
    with serve() as scraper:
        assert numbers(scraper)["dlkd_queue_oldest_seconds queue=train"] == 0


def test_without_its_database_the_process_still_tells_about_itself(serve: Serve, database: Database) -> None:
    with serve() as client:
        with database.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE jobs RENAME TO elsewhere")
        found = numbers(client)
    assert found["dlkd_database_up"] == 0
    assert found["process_resident_memory_bytes"] > 0
    assert "dlkd_workers" not in found


def test_by_default_only_this_machine_reads_them(serve: Serve, key: str) -> None:
    with serve() as here:
        assert here.get("/metrics").status_code == 200
        for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"):
            assert here.get("/metrics", headers={header: "127.0.0.1"}).status_code == 403
        assert here.get("/metrics", headers={"Host": "evil.example"}).status_code == 400
    with serve("192.0.2.7") as elsewhere:
        answer = elsewhere.get("/metrics", headers={"Authorization": f"Bearer {key}"})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_with_a_key_anybody_who_has_one_reads_them_under_any_name(serve: Serve, key: str) -> None:
    with serve("192.0.2.7", metrics="key") as client:
        client.base_url = "http://10.1.2.3:8000"
        assert client.get("/metrics").json()["code"] == "key_invalid"
        assert client.get("/metrics", headers={"Authorization": f"Bearer {key}"}).status_code == 200
        assert client.get("/livez").status_code == 400


def test_with_a_token_nothing_else_opens_them(serve: Serve, key: str) -> None:
    with serve("192.0.2.7", metrics="token", metrics_token=TOKEN) as client:
        wrong = ("", f"Bearer {key}", f"Basic {TOKEN}", "Bearer \xff")
        answers = [client.get("/metrics", headers={"Authorization": header.encode("latin-1")}) for header in wrong]  # type: ignore[dict-item]
        assert [answer.status_code for answer in answers] == [401] * 4
        assert "dlkd_jobs" in client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text


def test_off_is_off(serve: Serve) -> None:
    with serve(metrics="off") as client:
        assert (client.get("/metrics").status_code, client.get("/metrics").json()["code"]) == (404, "no_such_path")
