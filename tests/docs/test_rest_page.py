"""Tests that the service understands every curl command in the REST reference."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import uvicorn

from api.app import create_app
from api.auth.permissions import ROUTE_ROLES
from docs.generators import curl_examples, rest_reference
from registry.access.permissions import Role
from registry.settings import Settings
from registry.storage.object_store import Store
from registry.testing import InMemoryJobQueue, create_test_database
from tests.api.tenants import MINE, Tenants

OPERATIONS = [
    (method.upper(), path, operation)
    for path, methods in rest_reference.openapi_document()["paths"].items()
    for method, operation in methods.items()
]
# 404 if the example id does not exist, 409 if the job's status does not allow the operation.
EXPECTED_STATUSES = {"404", "409"}
EXPECTED_FAILURES = {
    # The example files are not valid checkpoints, images or bundles.
    "422": {"create_teacher", "create_dataset", "import_model"},
    # The tables of the test database were created without migrations.
    "503": {"get_ready"},
}


@pytest.fixture(scope="module")
def tenants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenants]:
    folder = tmp_path_factory.mktemp("rest")
    settings = Settings(data=folder, rate_per_minute=0)
    with create_test_database(folder) as database:
        store = Store(settings.store_url)
        yield Tenants(create_app(settings, database, InMemoryJobQueue(), store), database, store)


@pytest.fixture(scope="module")
def url(tenants: Tenants) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(tenants.app, port=0, log_config=None, access_log=False))
    thread = Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.mark.skipif(shutil.which("curl") is None, reason="this machine has no curl")
@pytest.mark.parametrize(
    ("method", "path", "operation"),
    OPERATIONS,
    ids=[entry[2]["operationId"] for entry in OPERATIONS],
)
def test_curl_example_is_accepted(
    tenants: Tenants, url: str, tmp_path: Path, method: str, path: str, operation: dict[str, Any]
) -> None:
    name = operation["operationId"]
    ids = tenants.create_rows(MINE, status="succeeded" if name == "list_job_events" else "queued")
    unknown = dict.fromkeys(re.findall(r"\{(\w+)\}", path), "unknown_0")
    known = {
        **unknown,
        **ids,
        "name": "student.onnx",
        "another": tenants.create_rows(MINE)["model"],
        "owner": MINE,
    }
    for file in ("teacher.pth", "images.zip", "student.zip"):
        (tmp_path / file).write_bytes(b"1234")
    script = (
        'curl() { command curl -sS -o answer -w "%{http_code}" "$@" || true; }\n'
        + curl_examples.curl_command(method, path, operation)
    )
    environment = {
        **known,
        "DLKD_URL": url,
        "DLKD_API_KEY": tenants.create_key(Role.ADMIN),
        "PATH": "/usr/bin:/bin",
    }
    result = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    status = result.stdout.strip()
    is_expected = status in operation["responses"].keys() | EXPECTED_STATUSES
    assert is_expected or name in EXPECTED_FAILURES.get(status, ()), script + result.stderr


def test_reference_lists_every_operation_with_its_role() -> None:
    reference = rest_reference.operations()
    for method, path, operation in OPERATIONS:
        assert f"### `{method} {path}` {{ #{operation['operationId']} }}" in reference
    required_roles = re.findall(
        r"^Requires an? (?:viewer|submitter|operator|admin) key or higher", reference, re.MULTILINE
    )
    versioned_routes = [route for route in ROUTE_ROLES if route.split()[1].startswith("/v1/")]
    assert len(required_roles) == len(versioned_routes)
