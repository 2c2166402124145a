"""The whole service over each set of engines: what comes with the installation, and real servers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dlkd_client.client import Client
from tests.engines import rabbitmq, s3, settings_of, valkey
from tests.service import ready, stopped, up

__all__ = ["rabbitmq", "s3", "valkey"]

_HINTS_ONLY = {"DLKD_POLL_SECONDS": "3600", "DLKD_DISPATCH_SECONDS": "0.5"}  # a broker that carries nothing would show
_LONG = pytest.mark.e2e  # the same once more each: not in every run
_EMBEDDED = {"DLKD_DATABASE_URL": "dlkd.db", "DLKD_BROKER_URL": "queue", "DLKD_STORE_URL": "store"}
ENGINES = [
    pytest.param(("embedded", "local"), id="embedded-local"),
    pytest.param(("valkey", "s3"), id="valkey-s3"),
    pytest.param(("embedded", "s3"), id="embedded-s3", marks=_LONG),
    pytest.param(("valkey", "local"), id="valkey-local", marks=_LONG),
    pytest.param(("rabbitmq", "local"), id="rabbitmq-local", marks=_LONG),
    pytest.param(("rabbitmq", "s3"), id="rabbitmq-s3", marks=_LONG),
]


@pytest.fixture(params=ENGINES)
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Client]:
    settings = settings_of(request, *request.param)
    data = tmp_path / "data"
    with up(data, **_HINTS_ONLY, **settings) as process:
        running = ready(process)
        with Client(running["url"], running["api_key"]) as client:
            yield client
        assert stopped(process)[0] == 0
    # What the servers keep, the service does not.
    assert {name for name in _EMBEDDED.values() if (data / name).exists()} == {
        name for setting, name in _EMBEDDED.items() if setting not in settings
    }
