"""The application over a real SQLite database and a real local store, with hints kept in a list."""

import io
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.app import create_app
from registry import artifacts, claims, keys, models
from registry.db import Database
from registry.lifecycle import JobStatus
from registry.offers import Offer
from registry.settings import Settings
from registry.store import Store
from registry.testing import MemoryQueue, fresh_database
from registry.uploads import CHECK_FILES, CHECKS

CHECKPOINT = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." + bytes(1000)  # the magic number of torch.save before zip files

SAMPLES = {"columns": 12, "width": 32, "height": 32, "classes": [0, 1]}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path, max_upload_bytes=4 * 2**20)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with fresh_database(tmp_path) as database:
        yield database


@pytest.fixture
def store(settings: Settings) -> Store:
    return Store(settings.store_url)


@pytest.fixture
def queue() -> MemoryQueue:
    return MemoryQueue()


@pytest.fixture
def app(settings: Settings, database: Database, queue: MemoryQueue, store: Store) -> FastAPI:
    return create_app(settings, database, queue, store)


@pytest.fixture
def key(database: Database) -> str:
    with database.write() as session:
        return keys.create(session, name="test")[1]


@pytest.fixture
def stranger(app: FastAPI) -> Iterator[TestClient]:
    """A client without a key."""
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        yield client


@pytest.fixture
def client(app: FastAPI, key: str) -> Iterator[TestClient]:
    with TestClient(app, base_url="http://127.0.0.1:8000", headers={"Authorization": f"Bearer {key}"}) as client:
        yield client


@pytest.fixture
def archive() -> bytes:
    """A zip that begins as data sets do; what is in it is the worker's business."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr("train/cat/1.png", b"not an image")
    return buffer.getvalue()


def files_in(settings: Settings) -> list[Path]:
    """Everything that the store holds, half-written uploads too."""
    return [path for path in (settings.data / "store").rglob("*") if path.is_file()]


class FakeWorker:
    """Does to the rows what a worker does, without doing the work."""

    def __init__(self, database: Database, store: Store) -> None:
        self.database = database
        self.store = store

    def claim(self, queue: str) -> claims.Claim:
        with self.database.write() as session:
            claim = claims.claim(session, worker_id="worker_test", offers=[Offer(queue)], lease=timedelta(minutes=1))
        assert claim is not None
        return claim

    def check_teacher(self, num_classes: int = 2) -> None:
        report = {"format": "torch", "architecture": "resnet20", "num_classes": num_classes, "parameters": 272_474, "options": {}}
        claim = self.claim(CHECKS)
        with self.database.write() as session:
            claims.enter(session, claim, JobStatus.RUNNING)
            claims.finish_check(session, claim, report=report)

    def check_dataset(self) -> None:
        image = {"channels": 3, "height": 32, "width": 32}
        report = {"classes": ["cat", "dog"], "splits": {"train": 8, "val": 4}, "image": image, "notices": []}
        report |= {"class_counts": {"train": [5, 3], "val": [2, 2]}, "samples": SAMPLES}
        files = {name: self.store.put([name.encode()]) for name in CHECK_FILES}
        claim = self.claim(CHECKS)
        with self.database.write() as session:
            claims.enter(session, claim, JobStatus.RUNNING)
            for stored in files.values():
                artifacts.record(session, self.store, stored)
            claims.finish_check(session, claim, report=report, files=files)

    def refuse(self, error: dict[str, Any]) -> None:
        claim = self.claim(CHECKS)
        with self.database.write() as session:
            claims.fail(session, claim, error=error)

    def train(self, claim: claims.Claim, content: bytes = b"weights of the student") -> str:
        stored = self.store.put([content])
        with self.database.write() as session:
            claims.enter(session, claim, JobStatus.RUNNING)
            points = [claims.Point(step, 1, {"val/top1": step / 100}) for step in range(1, 101)]
            claims.record(session, claim, claims.News(events=[("phase", {"phase": "training"})], points=points))
            artifacts.record(session, self.store, stored)
            file = models.FileRow("student.onnx", "onnx", stored.digest, stored.size, top1=0.5, latency_ms=1.5)
            metrics = {"teacher": {"top1": 0.75}, "student": {"top1": 0.5}}
            report = {"architecture": "resnet8", "parameters": 78_042, "classes": ["cat", "dog"], "metrics": metrics}
            report |= {"options": {}, "image": {"height": 32, "width": 32}, "normalization": None, "lineage": {"run": "0123"}}
            model = claims.finish(session, claim, report=report, files=[file])
        assert model is not None
        return model


@pytest.fixture
def worker(database: Database, store: Store) -> FakeWorker:
    return FakeWorker(database, store)


@pytest.fixture
def dataset(client: TestClient, worker: FakeWorker, archive: bytes) -> str:
    """The id of a data set of two classes that was checked."""
    created = client.post("/v1/datasets", files={"file": ("pets.zip", archive)}).json()
    worker.check_dataset()
    return str(created["id"])


@pytest.fixture
def spec(dataset: str) -> dict[str, Any]:
    """A request for plain training."""
    return {"student": {"architecture": "resnet8"}, "dataset": {"id": dataset}, "training": {"epochs": 2}}
