"""The curl command beside each operation of the REST reference is sent to a service, and understood."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import uvicorn

from api.access import NEEDS
from api.app import create_app
from docs.building import examples, rest
from registry.access import Role
from registry.settings import Settings
from registry.store import Store
from registry.testing import MemoryQueue, fresh_database
from tests.api.people import MINE, People

OPERATIONS = [
    (method.upper(), path, operation)
    for path, methods in rest.document()["paths"].items()
    for method, operation in methods.items()
]
REFUSALS = {"404", "409"}  # of a file that is none, and of a job that is in no state for it
WRONG = {
    "422": {"create_teacher", "create_dataset", "import_model"},  # the files sent here are no checkpoints and images
    "503": {"get_ready"},  # the tables of this database were made without the migrations
}


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    folder = tmp_path_factory.mktemp("rest")
    settings = Settings(data=folder, rate_per_minute=0)
    with fresh_database(folder) as database:
        store = Store(settings.store_url)
        yield People(create_app(settings, database, MemoryQueue(), store), database, store)


@pytest.fixture(scope="module")
def url(people: People) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(people.app, port=0, log_config=None, access_log=False))
    thread = Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.mark.skipif(shutil.which("curl") is None, reason="this machine has no curl")
@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=[one[2]["operationId"] for one in OPERATIONS])
def test_the_command_is_understood(
    people: People, url: str, tmp_path: Path, method: str, path: str, operation: dict[str, Any]
) -> None:
    name = operation["operationId"]
    ids = people.rows(MINE, status="succeeded" if name == "list_job_events" else "queued")
    unknown = dict.fromkeys(re.findall(r"\{(\w+)\}", path), "unknown_0")
    known = {**unknown, **ids, "name": "student.onnx", "another": people.rows(MINE)["model"], "owner": MINE}
    for file in ("teacher.pth", "images.zip", "student.zip"):
        (tmp_path / file).write_bytes(b"1234")
    script = 'curl() { command curl -sS -o answer -w "%{http_code}" "$@" || true; }\n' + examples.curl(method, path, operation)
    environment = {**known, "DLKD_URL": url, "DLKD_API_KEY": people.key(Role.ADMIN), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    status = done.stdout.strip()
    assert status in operation["responses"].keys() | REFUSALS or name in WRONG.get(status, ()), script + done.stderr


def test_every_operation_is_in_the_reference_with_its_role() -> None:
    written = rest.operations()
    for method, path, operation in OPERATIONS:
        assert f"### `{method} {path}` {{ #{operation['operationId']} }}" in written
    assert len(re.findall(r"^For an? (?:viewer|submitter|operator|admin) or more", written, re.MULTILINE)) == len(
        [need for need in NEEDS if need.split()[1].startswith("/v1/")]
    )
