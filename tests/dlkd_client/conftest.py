"""Fixtures: a real server on a loopback port, with a real database and store.

The server has no real worker. Tests run `FakeWorker` instead.
"""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from time import sleep

import pytest
import uvicorn
from fastapi import FastAPI

from dlkd_client.client import Client
from tests.api.conftest import (
    app,
    archive,
    database,
    key,
    queue,
    settings,
    store,
    worker,
)
from tests.api.fake_worker import FakeWorker
from tests.dlkd_client.cli_runner import run_dlkd

__all__ = ["app", "archive", "database", "key", "queue", "settings", "store", "worker"]


@pytest.fixture(autouse=True)
def isolated_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use temporary user folders, and remove the service's settings from the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    for name in ("DLKD_URL", "DLKD_API_KEY", "DLKD_DATA"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def url(app: FastAPI) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
        thread = Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture
def client(url: str, key: str) -> Iterator[Client]:
    with Client(url, key) as client:
        yield client


@pytest.fixture
def service_environment(url: str, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLKD_URL", url)
    monkeypatch.setenv("DLKD_API_KEY", key)


@pytest.fixture
def dataset(service_environment: None, worker: FakeWorker, archive: bytes, tmp_path: Path) -> str:
    assert service_environment is None
    (tmp_path / "pets.zip").write_bytes(archive)
    added = run_dlkd("dataset", "add", "pets.zip", "--no-wait")
    worker.check_dataset()
    return added.stdout.strip()


@pytest.fixture
def spec(dataset: str) -> str:
    return json.dumps(
        {"name": "mine", "student": {"architecture": "resnet8"}, "dataset": {"id": dataset}}
    )
