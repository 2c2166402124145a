"""Fixtures for the application, with a SQLite database, a local store and an in-memory queue."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.app import create_app
from registry.access import api_keys
from registry.db.database import Database
from registry.settings import Settings
from registry.storage.object_store import Store
from registry.testing import InMemoryJobQueue, create_test_database
from tests.api.fake_worker import FakeWorker
from tests.api.tenants import Tenants


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path, max_upload_bytes=4 * 2**20)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with create_test_database(tmp_path) as database:
        yield database


@pytest.fixture
def store(settings: Settings) -> Store:
    return Store(settings.store_url)


@pytest.fixture
def queue() -> InMemoryJobQueue:
    return InMemoryJobQueue()


@pytest.fixture
def app(settings: Settings, database: Database, queue: InMemoryJobQueue, store: Store) -> FastAPI:
    return create_app(settings, database, queue, store)


@pytest.fixture
def key(database: Database) -> str:
    """Return the secret of an admin key."""
    with database.write() as session:
        return api_keys.create(session, name="test")[1]


@pytest.fixture
def anonymous_client(app: FastAPI) -> Iterator[TestClient]:
    """Yield a client without an API key."""
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        yield client


@pytest.fixture
def client(app: FastAPI, key: str) -> Iterator[TestClient]:
    with TestClient(
        app, base_url="http://127.0.0.1:8000", headers={"Authorization": f"Bearer {key}"}
    ) as client:
        yield client


@pytest.fixture
def tenants(app: FastAPI, database: Database, store: Store) -> Tenants:
    return Tenants(app, database, store)


@pytest.fixture
def worker(database: Database, store: Store) -> FakeWorker:
    return FakeWorker(database, store)


@pytest.fixture
def archive() -> bytes:
    """Return a zip archive that is accepted as a dataset. Its images are not valid."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr("train/cat/1.png", b"not an image")
    return buffer.getvalue()


@pytest.fixture
def dataset(client: TestClient, worker: FakeWorker, archive: bytes) -> str:
    """Upload a dataset with two classes, let its check pass, and return its id."""
    created = client.post("/v1/datasets", files={"file": ("pets.zip", archive)}).json()
    worker.check_dataset()
    return str(created["id"])


@pytest.fixture
def spec(dataset: str) -> dict[str, Any]:
    """Return the request body of a job that trains a student on labels only."""
    return {
        "student": {"architecture": "resnet8"},
        "dataset": {"id": dataset},
        "training": {"epochs": 2},
    }
