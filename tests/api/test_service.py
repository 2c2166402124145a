"""The service about itself: health, catalog, description, front page, and what it costs to start."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.app import create_app
from api.routes import health
from registry import workers
from registry.db import Database, upgrade
from registry.settings import Settings
from registry.store import Store
from registry.testing import MemoryQueue

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def migrated(tmp_path: Path) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path / 'migrated.db'}"
    upgrade(url)
    database = Database(url)
    yield database
    database.close()


class DeadQueue(MemoryQueue):
    def check(self) -> None:
        raise ConnectionRefusedError("connection refused")


def ready(settings: Settings, database: Database, queue: MemoryQueue, store: Store) -> tuple[int, Any]:
    with TestClient(create_app(settings, database, queue, store), base_url="http://localhost") as client:
        answer = client.get("/readyz")
        return answer.status_code, answer.json()


def test_it_is_ready_with_a_worker(settings: Settings, migrated: Database, store: Store) -> None:
    with migrated.write() as session:
        workers.announce(session, "worker_1", {"name": "w", "hostname": "h", "pid": 1, "slots": {"train": 1}, "devices": []})
    status, body = ready(settings, migrated, MemoryQueue(), store)
    assert (status, body["status"]) == (200, "ready")
    assert set(body["checks"].values()) == {"ok"}


def test_without_worker_and_broker_it_is_degraded_but_serves(settings: Settings, migrated: Database, store: Store) -> None:
    status, body = ready(settings, migrated, DeadQueue(), store)
    assert (status, body["status"], body["checks"]["broker"]) == (200, "degraded", "connection refused")
    assert body["checks"]["workers"] != "ok"


def test_before_the_migrations_it_is_not_ready(settings: Settings, database: Database, store: Store) -> None:
    status, body = ready(settings, database, MemoryQueue(), store)
    assert (status, body["code"]) == (503, "not_ready")
    assert [entry["code"] for entry in body["errors"]] == ["database_unavailable"]


def test_without_its_store_it_is_not_ready(
    settings: Settings, migrated: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check() -> None:
        raise OSError("no such bucket")

    monkeypatch.setattr(store, "check", check)
    status, body = ready(settings, migrated, MemoryQueue(), store)
    assert (status, [entry["message"] for entry in body["errors"]]) == (503, ["no such bucket"])


def test_the_catalog_is_the_core_s_and_is_sent_once(client: TestClient) -> None:
    answer = client.get("/v1/catalog")
    menu = answer.json()
    assert {"dlkd", "dlkd_sup", "kd", "plain"} <= {method["name"] for method in menu["methods"]}
    assert {"resnet8", "resnet20", "wrn_40_2"} <= {entry["name"] for entry in menu["architectures"]}
    assert {"safetensors", "onnx"} <= {entry["name"] for entry in menu["exporters"]}
    assert len(menu.pop("timm")["rows"]) > 1000
    assert all(entry["schema"]["type"] == "object" for entries in menu.values() for entry in entries)
    assert client.get("/v1/catalog", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (found for part in value.values() for found in references(part))
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
    elif isinstance(value, list):
        yield from (found for part in value for found in references(part))


def test_the_description_is_whole(app: FastAPI) -> None:
    document = app.openapi()
    assert document["openapi"].startswith("3.1")
    names = {reference.removeprefix("#/components/schemas/") for reference in references(document)}
    assert names <= document["components"]["schemas"].keys()
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all(operation["description"] for operation in operations)


def test_every_refusal_is_described_as_a_problem(app: FastAPI) -> None:
    document = app.openapi()
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert "422" not in operation["responses"]
            assert list(operation["responses"]["4XX"]["content"]) == ["application/problem+json"]
            assert ("security" in operation) == ("401" in operation["responses"]) == path.startswith("/v1/")


def test_uploads_are_described_as_forms_with_a_file(app: FastAPI) -> None:
    body = app.openapi()["paths"]["/v1/teachers"]["post"]["requestBody"]
    form = body["content"]["multipart/form-data"]["schema"]
    assert set(form["properties"]) == {"file", "name", "architecture", "num_classes", "normalization"}
    assert form["required"] == ["file"]


def test_the_page_about_the_api_says_what_this_is_and_loads_nothing_from_elsewhere(stranger: TestClient) -> None:
    answer = stranger.get("/docs")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "/v1/jobs" in answer.text
    assert "src=" not in answer.text
    assert "https://" not in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_the_application_loads_no_torch() -> None:
    heavy = "{'torch', 'torchvision', 'onnx', 'onnxruntime', 'timm', 'celery'}"
    check = f"import sys; import api.app, api.__main__; print(*{heavy} & sys.modules.keys())"
    answer = subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=True, capture_output=True, text=True)
    assert answer.stdout.split() == []


def test_a_store_that_hangs_is_told_in_time(
    settings: Settings, migrated: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = Event()
    monkeypatch.setattr(store, "check", released.wait)
    monkeypatch.setattr(health, "CHECK_SECONDS", 0.2)
    status, body = ready(settings, migrated, MemoryQueue(), store)
    released.set()
    assert (status, [entry["code"] for entry in body["errors"]]) == (503, ["store_unavailable"])
    assert "no answer within 0.2 s" in body["errors"][0]["message"]
