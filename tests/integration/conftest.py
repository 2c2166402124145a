"""Fixtures that run the whole service with embedded backends or with real servers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dlkd_client.client import Client
from tests.support.backends import make_settings, rabbitmq, s3, valkey
from tests.support.local_service import read_ready_line, run_local_service, stop

__all__ = ["rabbitmq", "s3", "valkey"]

# The polling interval is an hour, so that the tests fail if the broker loses messages.
_NO_POLLING = {
    "DLKD_POLL_SECONDS": "3600",
    "DLKD_DISPATCH_SECONDS": "0.5",
}
_SLOW = pytest.mark.e2e  # these backends repeat the same tests, so they run only in `make e2e`
_EMBEDDED = {"DLKD_DATABASE_URL": "dlkd.db", "DLKD_BROKER_URL": "queue", "DLKD_STORE_URL": "store"}
BACKENDS = [
    pytest.param(("embedded", "local"), id="embedded-local"),
    pytest.param(("valkey", "s3"), id="valkey-s3"),
    pytest.param(("embedded", "s3"), id="embedded-s3", marks=_SLOW),
    pytest.param(("valkey", "local"), id="valkey-local", marks=_SLOW),
    pytest.param(("rabbitmq", "local"), id="rabbitmq-local", marks=_SLOW),
    pytest.param(("rabbitmq", "s3"), id="rabbitmq-s3", marks=_SLOW),
]


@pytest.fixture(params=BACKENDS)
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Client]:
    settings = make_settings(request, *request.param)
    data = tmp_path / "data"
    with run_local_service(data, **_NO_POLLING, **settings) as process:
        ready_line = read_ready_line(process)
        with Client(ready_line["url"], ready_line["api_key"]) as client:
            yield client
        assert stop(process)[0] == 0
    # The data folder holds only the files of embedded backends.
    assert {name for name in _EMBEDDED.values() if (data / name).exists()} == {
        name for setting, name in _EMBEDDED.items() if setting not in settings
    }
