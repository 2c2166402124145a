"""A real server on a loopback port, over a real database and store; a worker's part is played by `FakeWorker`."""

import socket
from collections.abc import Iterator
from threading import Thread
from time import sleep

import pytest
import uvicorn
from fastapi import FastAPI

from dlkd_client.client import Client
from tests.api.conftest import app, archive, database, key, queue, settings, store, worker

__all__ = ["app", "archive", "database", "key", "queue", "settings", "store", "worker"]


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
