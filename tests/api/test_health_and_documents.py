"""Routes for health, catalog, OpenAPI and docs. Also checks that the API never imports torch."""

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
from registry.db.database import Database
from registry.db.schema_migrations import upgrade
from registry.settings import Settings
from registry.storage.object_store import Store
from registry.testing import InMemoryJobQueue
from registry.workers import membership

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def migrated(tmp_path: Path) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path / 'migrated.db'}"
    upgrade(url)
    database = Database(url)
    yield database
    database.close()


class UnavailableQueue(InMemoryJobQueue):
    def check(self) -> None:
        raise ConnectionRefusedError("connection refused")


def get_readiness(
    settings: Settings, database: Database, queue: InMemoryJobQueue, store: Store
) -> tuple[int, Any]:
    with TestClient(
        create_app(settings, database, queue, store), base_url="http://localhost"
    ) as client:
        response = client.get("/readyz")
        return response.status_code, response.json()


def test_a_service_with_a_worker_is_ready(
    settings: Settings, migrated: Database, store: Store
) -> None:
    with migrated.write() as session:
        membership.register(
            session,
            "worker_1",
            {"name": "w", "hostname": "h", "pid": 1, "slots": {"train": 1}, "devices": []},
        )
    status, body = get_readiness(settings, migrated, InMemoryJobQueue(), store)
    assert (status, body["status"]) == (200, "ready")
    assert set(body["checks"].values()) == {"ok"}


def test_a_service_without_worker_and_broker_is_degraded_but_serves(
    settings: Settings, migrated: Database, store: Store
) -> None:
    status, body = get_readiness(settings, migrated, UnavailableQueue(), store)
    assert (status, body["status"], body["checks"]["broker"]) == (
        200,
        "degraded",
        "connection refused",
    )
    assert body["checks"]["workers"] != "ok"


def test_a_service_with_an_outdated_database_is_not_ready(
    settings: Settings, database: Database, store: Store
) -> None:
    status, body = get_readiness(settings, database, InMemoryJobQueue(), store)
    assert (status, body["code"]) == (503, "not_ready")
    assert [entry["code"] for entry in body["errors"]] == ["database_unavailable"]


def test_a_service_without_its_store_is_not_ready(
    settings: Settings, migrated: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check() -> None:
        raise OSError("no such bucket")

    monkeypatch.setattr(store, "check", check)
    status, body = get_readiness(settings, migrated, InMemoryJobQueue(), store)
    assert (status, [entry["message"] for entry in body["errors"]]) == (503, ["no such bucket"])


def test_the_catalog_is_that_of_the_core_and_has_an_etag(client: TestClient) -> None:
    response = client.get("/v1/catalog")
    catalog = response.json()
    assert {"dlkd", "dlkd_sup", "kd", "plain"} <= {method["name"] for method in catalog["methods"]}
    assert {"resnet8", "resnet20", "wrn_40_2"} <= {
        entry["name"] for entry in catalog["architectures"]
    }
    assert {"safetensors", "onnx"} <= {entry["name"] for entry in catalog["exporters"]}
    assert len(catalog.pop("timm")["rows"]) > 1000
    assert all(
        entry["schema"]["type"] == "object" for entries in catalog.values() for entry in entries
    )
    assert (
        client.get("/v1/catalog", headers={"If-None-Match": response.headers["ETag"]}).status_code
        == 304
    )


def iter_references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from iter_references(item)
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
    elif isinstance(value, list):
        for item in value:
            yield from iter_references(item)


def test_the_openapi_document_is_complete(app: FastAPI) -> None:
    document = app.openapi()
    assert document["openapi"].startswith("3.1")
    names = {
        reference.removeprefix("#/components/schemas/") for reference in iter_references(document)
    }
    assert names <= document["components"]["schemas"].keys()
    operations = [
        operation for methods in document["paths"].values() for operation in methods.values()
    ]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all(operation["description"] for operation in operations)


def test_every_error_response_is_documented_as_a_problem(app: FastAPI) -> None:
    document = app.openapi()
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert "422" not in operation["responses"]
            assert list(operation["responses"]["4XX"]["content"]) == ["application/problem+json"]
            assert (
                ("security" in operation)
                == ("401" in operation["responses"])
                == path.startswith("/v1/")
            )


def test_uploads_are_documented_as_forms_with_a_file(app: FastAPI) -> None:
    body = app.openapi()["paths"]["/v1/teachers"]["post"]["requestBody"]
    form = body["content"]["multipart/form-data"]["schema"]
    assert set(form["properties"]) == {
        "file",
        "name",
        "architecture",
        "num_classes",
        "output",
        "normalization",
    }
    assert form["required"] == ["file"]


def test_the_docs_page_lists_paths_and_loads_nothing_from_other_hosts(
    anonymous_client: TestClient,
) -> None:
    response = anonymous_client.get("/docs")
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "/v1/jobs" in response.text
    assert "src=" not in response.text
    assert "https://" not in response.text
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]


def test_the_application_does_not_import_torch() -> None:
    heavy = "{'torch', 'torchvision', 'onnx', 'onnxruntime', 'timm', 'celery'}"
    check = f"import sys; import api.app, api.__main__; print(*{heavy} & sys.modules.keys())"
    response = subprocess.run(
        [sys.executable, "-c", check], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert response.stdout.split() == []


def test_a_store_that_hangs_is_reported_in_time(
    settings: Settings, migrated: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = Event()
    monkeypatch.setattr(store, "check", released.wait)
    monkeypatch.setattr(health, "PROBE_TIMEOUT_SECONDS", 0.2)
    status, body = get_readiness(settings, migrated, InMemoryJobQueue(), store)
    released.set()
    assert (status, [entry["code"] for entry in body["errors"]]) == (503, ["store_unavailable"])
    assert "no answer within 0.2 s" in body["errors"][0]["message"]
